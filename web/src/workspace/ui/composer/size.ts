/** The size of a file in words. */

import type { Language } from '../../../lib/i18n';

/** "0.7 kB", "36 kB", "1.2 MB". */
export function formatSize(language: Language, bytes: number): string {
  const kilobytes = Math.max(bytes, 50) / 1000;
  const [value, unit] = kilobytes < 999.5 ? [kilobytes, 'kilobyte'] : [kilobytes / 1000, 'megabyte'];
  const maximumFractionDigits = value < 9.95 ? 1 : 0;
  return new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits }).format(value);
}
