/**
 * Errors that LiteRT.js logs and does not throw.
 *
 * If its WebAssembly build (2.5.3) lacks an operator, it only says so on the console: the model
 * loads, runs, and answers with whatever is in memory.
 *
 * Pages that run models include this file: see `pupila.web.pages`.
 */

const START = 'ERROR: ';

const errors: string[] = [];

/** An error that LiteRT.js logged about a model that it cannot run. */
export class LoggedError extends Error {}

/** Record errors that are logged from now on; call it before the runtime is loaded. */
export function listenForErrors(): void {
  const log = console.error;
  console.error = (...parts: unknown[]) => {
    const text = parts.join(' ');
    if (text.startsWith(START)) errors.push(text.slice(START.length));
    log(...parts);
  };
}

/**
 * Return the result of the work; throw if an error is logged meanwhile.
 *
 * If two calls run at once, an error makes both throw.
 */
export async function throwLogged<T>(work: () => Promise<T>): Promise<T> {
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

/** Return the last error that says more than a position in LiteRT's source. */
function loggedSince(before: number): LoggedError | undefined {
  const logged = errors.slice(before);
  const message = logged.findLast((text) => !text.startsWith('[')) ?? logged.at(-1);
  return message === undefined ? undefined : new LoggedError(message);
}
