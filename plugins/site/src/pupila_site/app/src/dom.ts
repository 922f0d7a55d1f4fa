/** Helpers for the document. */

import { type Key, text } from './texts';

export function element<E extends HTMLElement = HTMLElement>(id: string): E {
  const node = document.getElementById(id);
  if (!node) throw new Error(`the page has no element #${id}`);
  return node as E;
}

export function createElement<K extends keyof HTMLElementTagNameMap>(
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

/** Fill every element with the text that its `data-text` or `data-label` names. */
export function translateDocument(): void {
  for (const node of document.querySelectorAll<HTMLElement>('[data-text]'))
    node.textContent = text(node.dataset['text'] as Key);
  for (const node of document.querySelectorAll<HTMLElement>('[data-label]'))
    node.setAttribute('aria-label', text(node.dataset['label'] as Key));
}

/** Resolve when the page has been painted. */
export function nextPaint(): Promise<void> {
  return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
}
