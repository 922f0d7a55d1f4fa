/** The second tab: how fast the models are on this device and, if asked for, in the study. */

import { decode } from './decoding';
import { element, nextPaint } from './dom';
import { sentence } from './failure';
import { runtimeName } from './measured';
import type { Model, Workbench } from './model';
import type { Chain, Entry, ModelEntry, Site, Study } from './site';
import { OpenStages, stagesOf } from './stages';
import { table } from './tables';
import { decimal, figures, inEveryLanguage, text } from './texts';

const UNCOUNTED = 3;
const FEWEST = 5;
const MOST_MS = 10_000; // for one model; a slow one runs fewer times

interface Timed {
  readonly entry: Entry;
  readonly warmUpMs: number;
  readonly times: readonly number[];
}

export function startBenchmark(site: Site, bench: Workbench): void {
  const button = element<HTMLButtonElement>('run');
  const measurements = measurementsOf(site, bench);
  let timed: Timed[] = [];
  const draw = () => drawTimes(timed);

  button.addEventListener('click', async () => {
    button.disabled = true;
    timed = [];
    try {
      for (const { entry, measure } of measurements) {
        say(text('measuring', { model: entry.name }));
        await nextPaint();
        timed.push(...(await measure()));
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
    if (site.study) drawStudy(site.study);
  });
}

interface Measurement {
  readonly entry: Entry;
  readonly measure: () => Promise<readonly Timed[]>;
}

function measurementsOf(site: Site, bench: Workbench): Measurement[] {
  if (site.chained) {
    return site.models.map((entry) => ({
      entry,
      measure: () => bench.use(stagesOf(entry), (models) => measureChain(entry, models)),
    }));
  }
  const entries: readonly ModelEntry[] = [...site.models, ...(site.filter ? [site.filter] : [])];
  return entries.map((entry) => ({
    entry,
    measure: () => bench.use([entry], ([model]) => measureModel(model!)),
  }));
}

async function measureModel(model: Model): Promise<Timed[]> {
  const { entry, warmUpMs } = model;
  const image = Uint8Array.from({ length: entry.width * entry.height * 3 }, noise);
  const [times] = await repeat(async () => [(await model.run(image)).tookMs]);
  return [{ entry, warmUpMs, times: times! }];
}

/** Measure a chain and each stage of it on one picture, which goes through all stages. */
async function measureChain(entry: Chain, models: readonly Model[]): Promise<Timed[]> {
  const wanted = { sizes: [], keptFor: 'measurement', within: entry } as const;
  const picture = await decode(await noisyImage(entry), wanted);
  const stages = new OpenStages(entry, models, picture);
  const columns = await repeat(async () => {
    const filtered = entry.filter && (await stages.filter(entry.filter));
    const located = await stages.locate();
    const { cropMs, tookMs } = await stages.classify(located.found);
    const times = [...(filtered ? [filtered.tookMs] : []), located.tookMs, cropMs + tookMs];
    return [times.reduce((sum, time) => sum + time), ...times];
  });
  const warmUps = models.map(({ warmUpMs }) => warmUpMs);
  const loaded = [warmUps.reduce((sum, time) => sum + time), ...warmUps];
  const measured = [entry, ...stagesOf(entry)];
  return columns.map((times, index) => ({
    entry: measured[index]!,
    warmUpMs: loaded[index]!,
    times,
  }));
}

/** Call `run`, which returns some times, again and again; return each time's values, sorted. */
async function repeat(run: () => Promise<readonly number[]>): Promise<readonly number[][]> {
  const repeats = Number(element<HTMLSelectElement>('repeats').value);
  const runs: (readonly number[])[] = [];
  let total = 0;
  for (let number = 0; number < UNCOUNTED + repeats; number++) {
    const times = await run();
    await new Promise((resolve) => setTimeout(resolve)); // keeps the page responsive
    if (number >= UNCOUNTED) runs.push(times);
    total += times[0]!;
    if (total > MOST_MS && runs.length >= FEWEST) break;
  }
  return runs[0]!.map((_, index) => runs.map((times) => times[index]!).toSorted((a, b) => a - b));
}

function noisyImage({ width, height }: { readonly width: number; readonly height: number }): Promise<Blob> {
  const canvas = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  image.data.set(Uint8Array.from(image.data, noise));
  for (let alpha = 3; alpha < image.data.length; alpha += 4) image.data[alpha] = 255;
  canvas.getContext('2d')!.putImageData(image, 0, 0);
  return canvas.convertToBlob({ type: 'image/png' });
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
  element('times').replaceChildren(...table(titles, rows));
  element('times-frame').hidden = !timed.length;
}

function drawStudy(study: Study): void {
  const rows = study.rows.map(({ model, device, ms }) => [
    model,
    text(device),
    ...ms.map((time) => decimal(time, 0)),
  ]);
  element('study').replaceChildren(...table([text('name'), text('device'), ...study.columns], rows));
}
