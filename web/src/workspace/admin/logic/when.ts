/** Times and amounts in the reader's language. */

import type { Language } from '../../../lib/i18n';

/** A moment, in the reader's own time zone. */
export function moment(language: Language, milliseconds: number): string {
  return new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' }).format(milliseconds);
}

/** A count, shortened where it is large: 1,234 or 5.6M. */
export function amount(language: Language, value: number): string {
  const large = Math.abs(value) >= 100_000;
  return new Intl.NumberFormat(language, large ? { notation: 'compact', maximumFractionDigits: 1 } : { maximumFractionDigits: Math.abs(value) < 100 ? 1 : 0 }).format(value);
}

/** A size in bytes: "12.3 MiB". */
export function bytes(language: Language, value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let [size, unit] = [value, 0];
  while (Math.abs(size) >= 1024 && unit < units.length - 1) [size, unit] = [size / 1024, unit + 1];
  return `${new Intl.NumberFormat(language, { maximumFractionDigits: size < 100 && unit > 0 ? 1 : 0 }).format(size)} ${units[unit]}`;
}
