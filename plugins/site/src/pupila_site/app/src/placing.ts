/** What a model found, as an ellipse over the image with its position in words, corrected by hand. */

import { element } from './dom';
import { MovableEllipse } from './ellipse';
import type { Ellipse } from './location';
import type { Size } from './resample';
import { decimal, percent, text } from './texts';

/** What the model said about an image. */
export interface Finding {
  readonly name: string;
  /** Size of the file's image. */
  readonly image: Size;
  readonly found: Ellipse;
  readonly isThere: boolean;
}

interface Placed {
  readonly finding: Finding;
  /** Where the ellipse is now; null if there is none. */
  readonly marked: Ellipse | null;
  readonly byHand: boolean;
}

export class Placing {
  private readonly changed: (marked: Ellipse | null) => void;
  private readonly ellipse = new MovableEllipse((marked) => this.place(marked));
  private placed: Placed | null = null;

  /** `changed` is called when the visitor has moved or removed the ellipse. */
  constructor(changed: (marked: Ellipse | null) => void) {
    this.changed = changed;
    element('smaller').addEventListener('click', () => this.ellipse.grow(-1));
    element('larger').addEventListener('click', () => this.ellipse.grow(1));
    element('back').addEventListener('click', () => this.goBack());
    element('mark').addEventListener('click', () => {
      if (this.placed) this.place(this.placed.finding.found);
      this.ellipse.focus();
    });
    element('preview').addEventListener('click', ({ offsetX, offsetY }) => {
      const { width, height } = element('preview').getBoundingClientRect();
      if (!this.placed) return;
      const { marked, finding } = this.placed;
      this.place({ ...(marked ?? finding.found), x: offsetX / width, y: offsetY / height });
    });
  }

  get byHand(): boolean {
    return this.placed?.byHand ?? false;
  }

  /** Show what the model found. */
  show(finding: Finding): void {
    this.update({ finding, marked: finding.isThere ? finding.found : null, byHand: false });
    this.rewrite();
  }

  clear(): void {
    this.update(null);
  }

  rewrite(): void {
    if (!this.placed) return;
    element('where').textContent = describe(this.placed);
    element('ellipse').setAttribute('aria-label', text('ellipse', { name: this.placed.finding.name }));
  }

  private place(marked: Ellipse): void {
    if (!this.placed) return;
    this.update({ ...this.placed, marked, byHand: true });
    this.changed(marked);
  }

  private goBack(): void {
    if (!this.placed) return;
    this.show(this.placed.finding);
    const { marked } = this.placed;
    this.changed(marked);
    (marked ? this.ellipse : element('mark')).focus();
  }

  private update(placed: Placed | null): void {
    this.placed = placed;
    const marked = placed?.marked ?? null;
    this.ellipse.show(marked);
    for (const id of ['correction', 'where']) element(id).hidden = !placed;
    element('mark').hidden = marked !== null;
    for (const id of ['hint', 'smaller', 'larger']) element(id).hidden = marked === null;
    element('back').hidden = !this.byHand;
    element('where').textContent = placed ? describe(placed) : '';
  }
}

function describe({ finding, marked, byHand }: Placed): string {
  if (!marked) return '';
  const { width, height } = finding.image;
  return text(byHand ? 'placedByHand' : 'placedByModel', {
    x: percent(marked.x),
    y: percent(marked.y),
    width: decimal(2 * marked.halfWidth * width, 0),
    height: decimal(2 * marked.halfHeight * height, 0),
  });
}
