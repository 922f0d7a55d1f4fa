/** The first tab: an image goes in, an answer comes out; a view shows the answers of one task. */

import type { Picture } from './decoding';
import { element, createElement, nextPaint } from './dom';
import { sentence, showProblem } from './failure';
import { type Acceptance, showWarning } from './filter';
import { startIntake } from './intake';
import type { Runtime } from './model';
import { hidePreview, nameImage, showPreview } from './preview';
import type { Entry } from './site';
import { inEveryLanguage, text } from './texts';

export interface Answered {
  readonly picture: Picture;
  readonly runtime: Runtime;
  /** What a filter that only warns says; null without one. */
  readonly acceptance: Acceptance | null;
}

/** Asks what the visitor has chosen. */
export interface Asker<E extends Entry, A extends Answered> {
  open(entry: E): Promise<unknown>;
  read(entry: E, image: Blob): Promise<Picture>;
  ask(entry: E, picture: Picture): Promise<A>;
}

export interface View<A extends Answered> {
  show(answer: A): void;
  /** Write the answer again, in another language. */
  rewrite(): void;
  clear(): void;
}

export function startAnswering<E extends Entry, A extends Answered>(
  entries: readonly E[],
  asker: Asker<E, A>,
  view: View<A>,
): void {
  const chooser = element<HTMLSelectElement>('model');
  chooser.append(...entries.map(({ name }, index) => createElement('option', name, { value: `${index}` })));
  element('models').hidden = entries.length < 2;

  let latest: Blob | null = null;
  let shown: Answered | null = null;
  let turn = 0;

  /** Remove the answer, so that it never stands beside another image. */
  const clear = () => {
    shown = null;
    showWarning(null);
    hidePreview();
    view.clear();
  };
  const complain = (reason: () => string) => {
    clear();
    say(() => '');
    showProblem(reason());
  };

  /** A later request replaces an earlier one. */
  const answer = async () => {
    const mine = ++turn;
    const entry = entries[Number(chooser.value)]!;
    clear();
    say(() => text(latest ? 'working' : 'loading'));
    try {
      if (!latest) await asker.open(entry);
      if (mine !== turn) return;
      if (!latest) return say(() => text('ready'));
      const picture = await asker.read(entry, latest);
      if (mine !== turn) return;
      showPreview(picture);
      await nextPaint();
      const answered = await asker.ask(entry, picture);
      if (mine !== turn) return;
      shown = answered;
      showWarning(answered.acceptance);
      view.show(answered);
      say(() => '');
    } catch (error) {
      if (mine === turn) complain(() => sentence(error));
    }
  };
  chooser.addEventListener('change', answer);
  inEveryLanguage(() => {
    if (!shown) return;
    nameImage(shown.picture.original);
    showWarning(shown.acceptance);
    view.rewrite();
  });
  void answer();
  startIntake((image) => {
    latest = image;
    void answer();
  }, complain);
}

let currentStatus = () => text('loading');

function say(status: () => string): void {
  currentStatus = status;
  element('status').textContent = status();
  element('problem').replaceChildren();
}

inEveryLanguage(() => {
  element('status').textContent = currentStatus();
});
