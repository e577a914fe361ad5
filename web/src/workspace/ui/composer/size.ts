/** The size of a file in words. */

import type { MessageKey, Values } from '../../../lib/i18n';

const STEP = 1000;

export function formatSize(t: (key: MessageKey, values?: Values) => string, bytes: number): string {
  if (bytes < STEP) return t('attach.bytes', { count: bytes });
  const kilo = bytes / STEP;
  if (kilo < STEP - 0.5) return t('attach.kilobytes', { count: kilo < 9.95 ? kilo.toFixed(1) : Math.round(kilo) });
  return t('attach.megabytes', { count: (kilo / STEP).toFixed(1) });
}
