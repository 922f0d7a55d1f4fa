// Decodes raw outputs of locators as the page does: JSON comes in, JSON goes out.
//   node locate.mjs MODULE < '[{"output": …, "values": […]}, …]'

import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const { canBeAbsent, locate } = await import(pathToFileURL(process.argv[2]).href);

const cases = JSON.parse(readFileSync(0, 'utf8'));
const answers = cases.map(({ output, values }) => ({
  absent: canBeAbsent(output),
  places: locate(output, Float32Array.from(values)),
}));
console.log(JSON.stringify(answers));
