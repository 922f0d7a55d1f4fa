/** An ellipse over the image, which can be moved and sized with mouse, finger and keyboard. */

import { element } from './dom';
import type { Ellipse } from './location';

const STEP = 0.005; // of the image's width
const FAR = 5; // steps, with Shift
const GROWTH = 1.05;
const [LEAST, MOST] = [0.004, 0.5]; // half sizes
const DIAGONAL = Math.SQRT1_2;

const DIRECTIONS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Shows an ellipse, and calls `changed` when the visitor has changed it. */
export class MovableEllipse {
  private readonly stage = element('stage');
  private readonly outline = element('ellipse');
  private readonly handle = element('handle');
  private readonly changed: (ellipse: Ellipse) => void;
  private current: Ellipse | null = null;

  constructor(changed: (ellipse: Ellipse) => void) {
    this.changed = changed;
    this.outline.addEventListener('keydown', (event) => this.press(event));
    onDrag(this.outline, () => {
      const start = this.current!;
      return (across, down) => {
        const { width, height } = this.stage.getBoundingClientRect();
        this.change(moved(start, across / width, down / height));
      };
    });
    onDrag(this.handle, (event) => {
      const start = this.current!;
      const box = this.outline.getBoundingClientRect();
      const [x, y] = [event.clientX - box.x - box.width / 2, event.clientY - box.y - box.height / 2];
      return (across, down) =>
        this.change(sized(start, Math.hypot(x + across, y + down) / Math.hypot(x, y)));
    });
  }

  /** Draw it there, or nothing. */
  show(ellipse: Ellipse | null): void {
    this.current = ellipse;
    this.outline.hidden = !ellipse;
    if (!ellipse) return;
    const { x, y, halfWidth, halfHeight } = ellipse;
    place(this.outline, x - halfWidth, y - halfHeight);
    this.outline.style.width = share(2 * halfWidth);
    this.outline.style.height = share(2 * halfHeight);
    // the handle stays inside of the image
    const [right, below] = [x + halfWidth < 1, y + halfHeight < 1].map((fits) => (fits ? 1 : -1));
    place(this.handle, (1 + right! * DIAGONAL) / 2, (1 + below! * DIAGONAL) / 2);
  }

  /** Grow by some steps; with negative steps, shrink. */
  grow(steps: number): void {
    if (this.current) this.change(sized(this.current, GROWTH ** steps));
  }

  focus(): void {
    this.outline.focus();
  }

  private press(event: KeyboardEvent): void {
    if (!this.current || event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = DIRECTIONS[event.key];
    const steps = ['+', '='].includes(event.key) ? 1 : ['-', '_'].includes(event.key) ? -1 : 0;
    if (direction) {
      const { width, height } = this.stage.getBoundingClientRect();
      const step = event.shiftKey ? FAR * STEP : STEP;
      const [across, down] = direction;
      this.change(moved(this.current, across * step, (down * step * width) / height));
    } else if (steps) this.grow(steps);
    else return;
    event.preventDefault();
  }

  private change(ellipse: Ellipse): void {
    this.show(ellipse);
    this.changed(ellipse);
  }
}

function moved(ellipse: Ellipse, across: number, down: number): Ellipse {
  return { ...ellipse, x: between(0, ellipse.x + across, 1), y: between(0, ellipse.y + down, 1) };
}

/** Keep the shape: both half sizes grow by the same factor. */
function sized({ x, y, halfWidth, halfHeight }: Ellipse, factor: number): Ellipse {
  const least = LEAST / Math.min(halfWidth, halfHeight);
  const most = MOST / Math.max(halfWidth, halfHeight);
  const allowed = Math.min(Math.max(factor, least), most);
  return { x, y, halfWidth: halfWidth * allowed, halfHeight: halfHeight * allowed };
}

/** Call `begin` when a pointer goes down, and what it returns as the pointer moves away from there. */
function onDrag(
  target: HTMLElement,
  begin: (event: PointerEvent) => (across: number, down: number) => void,
): void {
  let drag: ((event: PointerEvent) => void) | null = null;
  target.addEventListener('pointerdown', (event) => {
    if (event.target !== target || event.button !== 0) return;
    target.setPointerCapture(event.pointerId);
    const [x, y, move] = [event.clientX, event.clientY, begin(event)];
    drag = ({ clientX, clientY }) => move(clientX - x, clientY - y);
  });
  target.addEventListener('pointermove', (event) => drag?.(event));
  target.addEventListener('lostpointercapture', () => {
    drag = null;
  });
}

function place({ style }: HTMLElement, left: number, top: number): void {
  [style.left, style.top] = [share(left), share(top)];
}

const share = (fraction: number) => `${100 * fraction}%`;
const between = (least: number, value: number, most: number) => Math.min(Math.max(value, least), most);
