/** The few things that we ask of the document. */

import { type Key, text } from './texts';

export function element<E extends HTMLElement = HTMLElement>(id: string): E {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element #${id}`);
  return found as E;
}

export function made<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  content: string | readonly Node[],
  attributes: Readonly<Record<string, string>> = {},
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  if (typeof content === 'string') node.textContent = content;
  else node.append(...content);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** Fill every element that names its sentence by `data-text` or `data-label`. */
export function translateDocument(): void {
  for (const node of document.querySelectorAll<HTMLElement>('[data-text]'))
    node.textContent = text(node.dataset['text'] as Key);
  for (const node of document.querySelectorAll<HTMLElement>('[data-label]'))
    node.setAttribute('aria-label', text(node.dataset['label'] as Key));
}

/** Resolve when what was just written to the page has been painted. */
export function painted(): Promise<void> {
  return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
}
