/**
 * Errors that LiteRT.js logs and does not throw.
 *
 * Of an operator that it lacks, its WebAssembly build (2.5.3) says so on the console alone: the
 * model loads, runs, and answers with whatever lies in memory.
 *
 * Pages that run models build this file in: see `pupila.web.pages`.
 */

const START = 'ERROR: ';

const errors: string[] = [];

/** What LiteRT.js said of a model that it cannot run. */
export class LoggedError extends Error {}

/** Note what is logged from now on; the runtime must not have been loaded yet. */
export function listenForErrors(): void {
  const log = console.error;
  console.error = (...parts: unknown[]) => {
    const text = parts.join(' ');
    if (text.startsWith(START)) errors.push(text.slice(START.length));
    log(...parts);
  };
}

/**
 * Return what the work promises, unless an error is logged meanwhile: that is thrown.
 *
 * Of two that are under way at once, both are blamed.
 */
export async function heeding<T>(work: () => Promise<T>): Promise<T> {
  const before = errors.length;
  let result: T;
  try {
    result = await work();
  } catch (error) {
    throw loggedSince(before) ?? error;
  }
  const error = loggedSince(before);
  if (error) throw error;
  return result;
}

/** Return the last error that says more than a line of LiteRT's own source. */
function loggedSince(before: number): LoggedError | undefined {
  const logged = errors.slice(before);
  const told = logged.findLast((text) => !text.startsWith('[')) ?? logged.at(-1);
  return told === undefined ? undefined : new LoggedError(told);
}
