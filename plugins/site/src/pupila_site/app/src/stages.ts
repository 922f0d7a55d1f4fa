/**
 * Runs the stages of a chain on a picture: filter, locator, crop and classifier, as
 * `pupila_chain.runner` does in Python. Each stage reads the picture itself.
 */

import type { Answered, Asker } from './answering';
import { type Picture, cut, decode } from './decoding';
import { type Ellipse, type Location, locate } from './location';
import type { Model, Outputs, Workbench } from './model';
import { probabilities } from './probabilities';
import type { Chain, ModelEntry, Router } from './site';
import { type Square, squareAround } from './square';

/** What a picture is taken for; nothing answers for another one. */
export type Kind = 'photograph' | 'crop' | 'other';

/** What the filter said. */
export interface Filtered {
  readonly kind: Kind;
  /** The picture's class. */
  readonly name: string;
  readonly tookMs: number;
}

export interface Located {
  readonly found: Location;
  readonly isThere: boolean;
  readonly tookMs: number;
}

export interface Classified {
  /** What was cropped; null for the whole picture. */
  readonly square: Square | null;
  /** RGB pixels that the classifier got. */
  readonly pixels: Uint8Array<ArrayBuffer>;
  readonly values: ArrayLike<number>;
  readonly cropMs: number;
  readonly tookMs: number;
}

/** What the stages said about a picture; null for a stage that was not asked. */
export interface ChainAnswer extends Answered {
  readonly entry: Chain;
  readonly kind: Kind;
  readonly filtered: Filtered | null;
  readonly located: Located | null;
  readonly classified: Classified | null;
}

export interface Stages extends Asker<Chain, ChainAnswer> {
  /** Answer again for a picture that the visitor takes for another kind. */
  takeFor(kind: Kind, answer: ChainAnswer): Promise<ChainAnswer>;
  /** Answer again for an ellipse; without one, there is no answer. */
  place(ellipse: Ellipse | null, answer: ChainAnswer): Promise<ChainAnswer>;
}

/** Return the models of a chain in order. */
export function stagesOf({ filter, locator, classifier }: Chain): readonly ModelEntry[] {
  return filter ? [filter, locator, classifier] : [locator, classifier];
}

export function chainStages(bench: Workbench): Stages {
  const use = <T>(entry: Chain, picture: Picture, work: (stages: OpenStages) => Promise<T>) =>
    bench.use(stagesOf(entry), (models) => work(new OpenStages(entry, models, picture)));
  return {
    open: (entry) => bench.use(stagesOf(entry), async () => {}),
    read: (entry, image) => decode(image, { sizes: [], keptFor: 'answer', within: entry }),
    ask: (entry, picture) =>
      use(entry, picture, async (stages) => {
        const filtered = entry.filter && (await stages.filter(entry.filter));
        const kind = filtered?.kind ?? 'photograph';
        const runtime = await bench.runtime;
        const given = { entry, picture, runtime, acceptance: null, filtered, located: null };
        return { ...given, kind, ...(await stages.answer(kind, null)) };
      }),
    takeFor: (kind, answer) =>
      use(answer.entry, answer.picture, async (stages) => ({
        ...answer,
        kind,
        ...(await stages.answer(kind, answer.located)),
      })),
    place: (ellipse, answer) =>
      use(answer.entry, answer.picture, async (stages) => ({
        ...answer,
        classified: ellipse && (await stages.classify(ellipse)),
      })),
  };
}

/** The open models of a chain, and a picture for them. */
export class OpenStages {
  private readonly entry: Chain;
  private readonly models: readonly Model[];
  private readonly picture: Picture;

  constructor(entry: Chain, models: readonly Model[], picture: Picture) {
    this.entry = entry;
    this.models = models;
    this.picture = picture;
  }

  async filter(filter: Router): Promise<Filtered> {
    const { values, tookMs } = await this.run(filter);
    const shares = probabilities(filter.kind, values).map(Math.fround);
    const index = decide(filter, shares);
    const name = filter.classes[index]!;
    const next = Object.hasOwn(this.entry.routes, name) ? this.entry.routes[name] : null;
    const kind = next === 'locator' ? 'photograph' : next === 'classifier' ? 'crop' : 'other';
    return { kind, name, tookMs };
  }

  /** Ask locator and classifier, as far as a picture of this kind gets. */
  async answer(
    kind: Kind,
    known: Located | null,
  ): Promise<Pick<ChainAnswer, 'located' | 'classified'>> {
    if (kind === 'other') return { located: known, classified: null };
    if (kind === 'crop') return { located: known, classified: await this.classify(null) };
    const located = known ?? (await this.locate());
    return { located, classified: located.isThere ? await this.classify(located.found) : null };
  }

  async locate(): Promise<Located> {
    const { locator, presentFrom } = this.entry;
    const { values, tookMs } = await this.run(locator);
    const [found] = locate(locator, values).map(singlePrecision);
    return { found: found!, isThere: found!.presence >= Math.fround(presentFrom), tookMs };
  }

  /** Ask the classifier about the crop around an ellipse, or about the whole picture. */
  async classify(ellipse: Ellipse | null): Promise<Classified> {
    const { classifier, margin } = this.entry;
    const start = performance.now();
    const square = ellipse && squareAround(this.picture, ellipse, margin);
    const pixels = await this.pixels(classifier, square);
    const cropMs = performance.now() - start;
    return { square, pixels, cropMs, ...(await this.modelOf(classifier).run(pixels)) };
  }

  /** Run a stage on the whole picture; the time includes that to resize it. */
  private async run(stage: ModelEntry): Promise<Outputs> {
    const start = performance.now();
    const { values } = await this.modelOf(stage).run(await this.pixels(stage, null));
    return { values, tookMs: performance.now() - start };
  }

  private modelOf(stage: ModelEntry): Model {
    return this.models.find(({ entry }) => entry === stage)!;
  }

  private async pixels(stage: ModelEntry, square: Square | null): Promise<Classified['pixels']> {
    const pixels = await cut(this.picture, square, stage);
    if (!pixels) throw new Error('another image has been opened');
    return pixels;
  }
}

/** Return the index of a picture's class; probabilities are single precision, as in Python. */
function decide({ classes, threshold }: Router, shares: readonly number[]): number {
  const positive = threshold ? classes.indexOf(threshold.positive) : -1;
  if (threshold && shares[positive]! >= Math.fround(threshold.value)) return positive;
  const others = shares.map((share, index) => (index === positive ? -Infinity : share));
  return others.indexOf(Math.max(...others));
}

function singlePrecision({ x, y, halfWidth, halfHeight, presence }: Location): Location {
  const [left, top, across, down, sure] = [x, y, halfWidth, halfHeight, presence].map(Math.fround);
  return { x: left!, y: top!, halfWidth: across!, halfHeight: down!, presence: sure! };
}
