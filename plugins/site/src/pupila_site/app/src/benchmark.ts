/** The second tab: how fast the models are on this device, and how fast the study's were. */

import { element, createElement, nextPaint } from './dom';
import { sentence } from './failure';
import type { Model, Workbench } from './model';
import { runtimeName } from './result';
import type { ModelEntry, Site } from './site';
import { decimal, figures, inEveryLanguage, text } from './texts';

const UNCOUNTED = 3;
const FEWEST = 5;
const MOST_MS = 10_000; // for one model; a slow one runs fewer times

interface Timed {
  readonly entry: ModelEntry;
  readonly warmUpMs: number;
  readonly times: readonly number[];
}

export function startBenchmark(site: Site, bench: Workbench): void {
  const button = element<HTMLButtonElement>('run');
  const entries = [...site.models, ...(site.filter ? [site.filter] : [])];
  let timed: Timed[] = [];
  const draw = () => drawTimes(timed);

  button.addEventListener('click', async () => {
    button.disabled = true;
    timed = [];
    try {
      for (const entry of entries) {
        say(text('measuring', { model: entry.name }));
        await nextPaint();
        timed.push(await bench.use(entry, measure));
        draw();
      }
      say(`${text('measured', { count: timed.length })} ${runtimeName(await bench.runtime)}.`);
    } catch (error) {
      say(sentence(error));
    }
    button.disabled = false;
  });
  inEveryLanguage(() => {
    draw();
    drawStudy(site);
  });
}

async function measure(model: Model): Promise<Timed> {
  const { entry, warmUpMs } = model;
  const repeats = Number(element<HTMLSelectElement>('repeats').value);
  const image = Uint8Array.from({ length: entry.width * entry.height * 3 }, noise);
  const times: number[] = [];
  let total = 0;
  for (let run = 0; run < UNCOUNTED + repeats; run++) {
    const { tookMs } = await model.ask(image, entry.classes[0]!);
    await new Promise((resolve) => setTimeout(resolve)); // keeps the page responsive
    if (run >= UNCOUNTED) times.push(tookMs);
    total += tookMs;
    if (total > MOST_MS && times.length >= FEWEST) break;
  }
  return { entry, warmUpMs, times: times.toSorted((one, other) => one - other) };
}

const noise = () => Math.floor(Math.random() * 256);

/** Interpolates between neighbours, like NumPy's `quantile`. */
function quantile(sorted: readonly number[], fraction: number): number {
  const position = fraction * (sorted.length - 1);
  const below = sorted[Math.floor(position)]!;
  return below + (sorted[Math.ceil(position)]! - below) * (position % 1);
}

function say(sentence: string): void {
  element('progress').textContent = sentence;
}

function drawTimes(timed: readonly Timed[]): void {
  const rows = timed.map(({ entry, warmUpMs, times }) => [
    entry.name,
    figures(entry.bytes / 1e6),
    figures(quantile(times, 0.5)),
    figures(quantile(times, 0.95)),
    decimal(warmUpMs, 0),
  ]);
  const titles = (['name', 'size', 'median', 'p95', 'warmUp'] as const).map((key) => text(key));
  element('times').replaceChildren(head(titles), body(rows));
  element('times-frame').hidden = !timed.length;
}

function drawStudy({ study }: Site): void {
  const rows = study.rows.map(({ model, device, ms }) => [
    model,
    text(device),
    ...ms.map((time) => decimal(time, 0)),
  ]);
  element('study').replaceChildren(head([text('name'), text('device'), ...study.columns]), body(rows));
}

function head(titles: readonly string[]): HTMLElement {
  return createElement('thead', [createElement('tr', titles.map((title) => createElement('th', title, { scope: 'col' })))]);
}

function body(rows: readonly (readonly string[])[]): HTMLElement {
  const cells = ([first, ...others]: readonly string[]) => [
    createElement('th', first!, { scope: 'row' }),
    ...others.map((cell) => createElement('td', cell)),
  ];
  return createElement('tbody', rows.map((row) => createElement('tr', cells(row))));
}
