/** The sentence for what went wrong, in the reader's language where the page knows one; else the server's own words. */

import { MESSAGES, type MessageKey, type Values } from '../../lib/i18n';
import { ApiError } from '../api/request';
import type { Fault } from '../api/types';

type Translate = (key: MessageKey, values?: Values) => string;

export const SHORTEST_PASSWORD = 8;

/** The page's sentence of this name, where there is one. */
function known(name: string): MessageKey | null {
  return Object.hasOwn(MESSAGES.en, name) ? (name as MessageKey) : null;
}

/** What the server names by a code, where the page has its sentence. */
export function saidBy({ code, values }: { code: string | null; values: Values }, t: Translate): string | null {
  const key = code === null ? null : known(`said.${code}`);
  return key ? t(key, values) : null;
}

/** Of a call that did not succeed. Anything else that was thrown is thrown on. */
export function sentenceOf(error: unknown, t: Translate): string {
  if (!(error instanceof ApiError)) throw error;
  const { status, param, kind } = error;
  const said = saidBy(error, t);
  if (said) return said;
  // A function's own words are for whoever reads them.
  if (kind === 'function' && error.message) return error.message;
  if (kind === 'password_expired') return t('fault.ownPassword');
  if (status === 0) return t('fault.unreachable');
  if (status === 502 || status === 503 || status === 504) return t('fault.starting');
  if (status === 401) return t('fault.signedOut');
  if (status === 404) return t('fault.gone');
  if (status === 413) return t('fault.tooLarge');
  if (status === 429) return t('fault.tooMany');
  if (status === 409 && param === 'email') return t('fault.taken');
  if (status === 403) return t('fault.permission');
  if (param === 'email') return t('fault.email');
  if (param === 'password') return t('fault.password', { count: SHORTEST_PASSWORD });
  if (param === 'name') return t('fault.name');
  if (param === 'current') return t('fault.currentPassword');
  return error.message || t('fault.server');
}

/** Of an answer that failed. What a function or another server refused says best itself why. */
export function sentenceOfAnswer({ message, kind, code, values }: Fault, t: Translate): string {
  const key = known(`said.${code ?? ''}`) ?? known(`failure.${code ?? ''}`) ?? known(`failure.${kind ?? ''}`);
  return key ? t(key, values) : message;
}
