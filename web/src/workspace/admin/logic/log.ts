/** Which lines of the log are shown. */

import type { LogLine } from '../types';

export const LEVELS = ['DEBUG', 'INFO', 'WARNING', 'ERROR'] as const;
/** As many as the server keeps. */
export const MOST_LINES = 2000;

const RANK: Record<string, number> = { DEBUG: 0, INFO: 1, WARNING: 2, ERROR: 3, CRITICAL: 4 };

/** The lines with new ones after them, each once; the oldest go. */
export function appended(lines: readonly LogLine[], more: readonly LogLine[]): LogLine[] {
  const last = lines.at(-1)?.seq ?? 0;
  return [...lines, ...more.filter(({ seq }) => seq > last)].slice(-MOST_LINES);
}

/** Lines of a level or above it that hold all words of a search, in any case. */
export function fitting(lines: readonly LogLine[], level: string, search: string): LogLine[] {
  const words = search.toLowerCase().split(/\s+/).filter((word) => word !== '');
  const least = RANK[level] ?? 0;
  return lines.filter((line) => {
    if ((RANK[line.level] ?? 1) < least) return false;
    const text = `${line.level} ${line.source} ${line.text}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** Lines as text, for the clipboard. */
export function asText(lines: readonly LogLine[]): string {
  return lines.map(({ at, level, source, text }) => `${new Date(at).toISOString()} ${level} ${source}: ${text}`).join('\n');
}
