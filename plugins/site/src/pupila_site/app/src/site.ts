/** The exporter's data about the models: `site.json`. */

import type { Size } from './resample';

/** What a visitor can choose: a model or a chain of models. */
export interface Entry {
  readonly name: string;
  readonly bytes: number;
}

export interface ModelEntry extends Entry {
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly classes: readonly string[];
}

export interface Classifier extends ModelEntry {
  readonly kind: 'softmax' | 'logits' | 'sigmoid';
}

/** A metric with its 95 % interval, 0..1. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** On which test images a model was evaluated. */
export interface Tested {
  readonly images: number;
  /** Whether intervals take into account which images are of one patient. */
  readonly byPatient: boolean;
}

/** The threshold of a class's output, and how good the answers are at it. */
export interface Evaluated extends Tested {
  readonly positive: string;
  /** An answer is positive at or above this output. */
  readonly threshold: number;
  /** On what a shipped threshold was chosen; empty for one chosen on the validation images. */
  readonly chosenOn: string;
  readonly chosenOnImages: number | null;
  /** Measured at the threshold, as all of the following. */
  readonly sensitivity: Estimate;
  readonly specificity: Estimate;
  readonly accuracy: Estimate;
  readonly auc: Estimate | null;
}

export interface Diagnosis extends Classifier, Evaluated {}

/** A model that finds one thing in an image. */
export interface Finder extends ModelEntry {
  readonly kind: 'heat-map' | 'coordinates';
  /** Shape of the raw output for one image. */
  readonly size: readonly number[];
}

export interface Locator extends Finder, Tested {
  /** The thing counts as present at or above this probability. */
  readonly presentFrom: number;
  readonly figures: readonly Figure[];
}

/** A metric of a locator; all are fractions. */
export interface Figure extends Estimate {
  readonly name: 'found' | 'error' | 'error_p95' | 'within_half' | 'size_error' | 'absent';
}

export interface Filter extends Classifier {
  /** The class of images that the models are meant for. */
  readonly accepts: string;
  /** The page warns below this probability of that class. */
  readonly threshold: number;
}

/** The first stage of a chain: its class decides where an image goes next. */
export interface Router extends Classifier {
  /** An image is of this class at or above this probability; null: of the most probable class. */
  readonly threshold: { readonly positive: string; readonly value: number } | null;
}

/** Several models that answer as one. */
export interface Chain extends Entry, Size, Evaluated {
  readonly filter: Router | null;
  readonly locator: Finder;
  readonly classifier: Classifier;
  /** For each class of the filter that goes on, the stage that comes next. */
  readonly routes: Readonly<Record<string, 'locator' | 'classifier'>>;
  /** The thing counts as present at or above this probability. */
  readonly presentFrom: number;
  /** Side of the crop, as a multiple of the larger of the thing's width and height. */
  readonly margin: number;
}

/** What the page says at or above a threshold, and below it. */
export type Verdicts = readonly [string, string];

export interface Study {
  readonly columns: readonly string[];
  readonly rows: readonly { model: string; device: 'phone' | 'computer'; ms: readonly number[] }[];
}

interface Page<Task extends string, E extends Entry> {
  readonly task: Task;
  readonly chained: boolean;
  readonly title: string;
  readonly models: readonly E[];
  readonly filter: Filter | null;
  /** In the recipe's words; null for those of the page. */
  readonly verdicts: Verdicts | null;
  /** Null unless the recipe asks for it. */
  readonly study: Study | null;
}

export interface DiagnosisSite extends Page<'classification', Diagnosis> {
  readonly chained: false;
}

export interface LocatorSite extends Page<'localization', Locator> {
  readonly chained: false;
  /** Side of the crop, as a multiple of the larger of the thing's width and height. */
  readonly margin: number;
}

export interface ChainSite extends Page<'classification', Chain> {
  readonly chained: true;
}

export type Site = DiagnosisSite | LocatorSite | ChainSite;

export async function readSite(): Promise<Site> {
  const response = await fetch('site.json');
  if (!response.ok) throw new Error(`site.json: ${response.status}`);
  return response.json();
}
