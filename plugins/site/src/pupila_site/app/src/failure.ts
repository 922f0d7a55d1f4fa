/** Describes an error in the visitor's language. */

import { LoggedError } from '../shared/litert_log';
import { Unreadable } from './decoding';
import { createElement, element } from './dom';
import { text } from './texts';

export function sentence(error: unknown): string {
  if (error instanceof Unreadable) return text(error.problem);
  const reason = error instanceof Error ? error.message : String(error);
  return text(error instanceof LoggedError ? 'cannotRun' : 'notLoaded', { reason });
}

export function showProblem(reason: string): void {
  element('problem').replaceChildren(createElement('p', reason, { role: 'alert', class: 'warning' }));
}
