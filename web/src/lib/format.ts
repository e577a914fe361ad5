/** Times and rates in the reader's language, with as many digits as they are worth. */

import type { MessageKey, Values } from './i18n';

type Translate = (key: MessageKey, values?: Values) => string;

/** A span of time: "180 ms", "2.4 s", "38 s", "2 min 5 s". */
export function formatSeconds(t: Translate, seconds: number): string {
  if (seconds < 0.001) return t('stats.milliseconds', { value: '<1' });
  if (seconds < 0.9995) return t('stats.milliseconds', { value: Math.round(seconds * 1000) });
  if (seconds < 9.95) return t('stats.seconds', { value: seconds.toFixed(1) });
  if (seconds < 59.5) return t('stats.seconds', { value: Math.round(seconds) });
  const whole = Math.round(seconds);
  return t('stats.minutes', { minutes: Math.floor(whole / 60), seconds: whole % 60 });
}

/** Tokens per second: one digit after the point below 100. */
export function formatRate(rate: number): string {
  return rate < 99.95 ? rate.toFixed(1) : Math.round(rate).toString();
}
