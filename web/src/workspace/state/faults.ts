/** The sentence for what went wrong with a call, in the reader's language where the page knows one. */

import type { MessageKey, Values } from '../../lib/i18n';
import { ApiError } from '../api/request';

type Translate = (key: MessageKey, values?: Values) => string;

export const SHORTEST_PASSWORD = 8;

export function sentenceOf(error: unknown, t: Translate): string {
  if (!(error instanceof ApiError)) throw error;
  const { status, param } = error;
  if (status === 0) return t('fault.unreachable');
  if (status === 502 || status === 503 || status === 504) return t('fault.starting');
  if (status === 401) return t('fault.signedOut');
  if (status === 404) return t('fault.gone');
  if (status === 429) return t(param === 'models' ? 'limits.atOnce' : 'fault.tooMany');
  if (status === 409 && param === 'email') return t('fault.taken');
  if (param === 'email') return t('fault.email');
  if (param === 'password') return t('fault.password', { count: SHORTEST_PASSWORD });
  if (param === 'name') return t('fault.name');
  if (param === 'current') return t('fault.currentPassword');
  return error.message || t('fault.server');
}
