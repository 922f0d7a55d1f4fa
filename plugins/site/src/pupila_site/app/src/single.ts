/** Asks one model at a time, and the filter beside it. */

import type { Answered, Asker } from './answering';
import { decode } from './decoding';
import { openFilter } from './filter';
import type { Outputs, Workbench } from './model';
import type { Filter, ModelEntry } from './site';

export interface Answer<Entry extends ModelEntry> extends Answered, Outputs {
  readonly entry: Entry;
}

/** `kept` says whether the view cuts pieces out of the image. */
export function singleModels<Entry extends ModelEntry>(
  filter: Filter | null,
  bench: Workbench,
  kept: boolean,
): Asker<Entry, Answer<Entry>> {
  const purpose = kept ? ({ keptFor: 'answer' } as const) : {};
  const filterOpened = openFilter(filter, bench.runtime);
  return {
    async open(entry) {
      await filterOpened;
      await bench.use([entry], async () => {});
    },
    async read(entry, image) {
      await filterOpened;
      return decode(image, { sizes: filter ? [entry, filter] : [entry], ...purpose });
    },
    async ask(entry, picture) {
      const askFilter = await filterOpened;
      const [pixels, filterPixels] = picture.pictures;
      const outputs = await bench.use([entry], ([model]) => model!.run(pixels!));
      const acceptance = await askFilter(filterPixels);
      return { entry, picture, acceptance, runtime: await bench.runtime, ...outputs };
    },
  };
}
