/** Tables whose first column names the rows. */

import { createElement } from './dom';

/** Return head and body of a table. */
export function table(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
): [HTMLElement, HTMLElement] {
  const heads = titles.map((title) => createElement('th', title, { scope: 'col' }));
  const cells = ([first, ...others]: readonly string[]) => [
    createElement('th', first!, { scope: 'row' }),
    ...others.map((cell) => createElement('td', cell)),
  ];
  return [
    createElement('thead', [createElement('tr', heads)]),
    createElement('tbody', rows.map((row) => createElement('tr', cells(row)))),
  ];
}
