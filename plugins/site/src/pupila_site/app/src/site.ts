/** The exporter's data about the models: `site.json`. */

export interface ModelEntry {
  readonly name: string;
  readonly file: string;
  readonly bytes: number;
  readonly width: number;
  readonly height: number;
  readonly kind: 'softmax' | 'logits' | 'sigmoid';
  readonly classes: readonly string[];
}

/** A metric with its 95 % interval, 0..1. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface Diagnosis extends ModelEntry {
  readonly positive: string;
  /** An answer is positive at or above this probability. */
  readonly threshold: number;
  /** On what a shipped threshold was chosen; empty for one chosen on the validation images. */
  readonly chosenOn: string;
  readonly chosenOnImages: number | null;
  /** Number of test images on which the following are measured, at the threshold. */
  readonly images: number;
  /** Whether intervals take into account which images are of one patient. */
  readonly byPatient: boolean;
  readonly sensitivity: Estimate;
  readonly specificity: Estimate;
  readonly accuracy: Estimate;
  readonly auc: Estimate | null;
}

export interface Filter extends ModelEntry {
  /** The class of images that the models are meant for. */
  readonly accepts: string;
  /** The page warns below this probability of that class. */
  readonly threshold: number;
}

export interface Study {
  readonly columns: readonly string[];
  readonly rows: readonly { model: string; device: 'phone' | 'computer'; ms: readonly number[] }[];
}

export interface Site {
  readonly title: string;
  readonly models: readonly Diagnosis[];
  readonly filter: Filter | null;
  readonly study: Study;
}

export async function readSite(): Promise<Site> {
  const response = await fetch('site.json');
  if (!response.ok) throw new Error(`site.json: ${response.status}`);
  return response.json();
}
