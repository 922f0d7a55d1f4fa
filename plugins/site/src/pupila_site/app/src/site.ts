/** What the exporter wrote about the models: `site.json`. */

export interface ModelEntry {
  readonly name: string;
  readonly file: string;
  readonly bytes: number;
  readonly width: number;
  readonly height: number;
  readonly kind: 'softmax' | 'logits' | 'sigmoid';
  readonly classes: readonly string[];
}

/** A figure with its 95 % interval, 0..1. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface Diagnosis extends ModelEntry {
  readonly positive: string;
  /** An answer is positive from this probability on. */
  readonly threshold: number;
  /** What chose the threshold of a model that ships it; empty where validation images did. */
  readonly chosenOn: string;
  readonly chosenOnImages: number | null;
  /** The following are measured on so many test images, at the threshold. */
  readonly images: number;
  /** Whether intervals know which images are of one patient. */
  readonly byPatient: boolean;
  readonly sensitivity: Estimate;
  readonly specificity: Estimate;
  readonly accuracy: Estimate;
  readonly auc: Estimate | null;
}

export interface Gate extends ModelEntry {
  /** The class of images that a diagnosis is meant for. */
  readonly accepts: string;
  /** The page warns below this probability of it. */
  readonly threshold: number;
}

export interface Study {
  readonly columns: readonly string[];
  readonly rows: readonly { model: string; device: 'phone' | 'computer'; ms: readonly number[] }[];
}

export interface Site {
  readonly title: string;
  readonly models: readonly Diagnosis[];
  readonly gate: Gate | null;
  readonly study: Study;
}

export async function readSite(): Promise<Site> {
  const response = await fetch('site.json');
  if (!response.ok) throw new Error(`site.json: ${response.status}`);
  return response.json();
}
