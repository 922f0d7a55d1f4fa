/**
 * Errors that LiteRT.js logs and does not throw.
 *
 * Of an operator that it lacks, its WebAssembly build (2.5.3) says so on the console alone: the
 * model loads, runs, and answers with whatever lies in memory.
 */

const START = 'ERROR: ';

const errors: string[] = [];

/** Note what is logged from now on; the runtime must not have been loaded yet. */
export function listenForErrors(): void {
  const log = console.error;
  console.error = (...parts: unknown[]) => {
    const text = parts.join(' ');
    if (text.startsWith(START)) errors.push(text.slice(START.length));
    log(...parts);
  };
}

/** Return the last error that says more than a line of LiteRT's own source. */
export function loggedError(): Error | undefined {
  const told = errors.findLast((text) => !text.startsWith('[')) ?? errors.at(-1);
  return told === undefined ? undefined : new Error(told);
}
