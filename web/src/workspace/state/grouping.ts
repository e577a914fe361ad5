/** A list of chats, in the groups that a reader looks for them in. */

import type { ChatSummary } from '../api/types';

export type GroupName = 'today' | 'yesterday' | 'week' | 'month' | 'earlier';
export interface Group {
  name: GroupName;
  chats: ChatSummary[];
}

/** Each group with how many days it begins before today. */
const GROUPS: readonly (readonly [GroupName, number])[] = [
  ['today', 0],
  ['yesterday', 1],
  ['week', 7],
  ['month', 30],
  ['earlier', Infinity],
];

/** Groups that hold something, the newest chat first in each. `now`: milliseconds; days are the reader's own. */
export function grouped(chats: readonly ChatSummary[], now: number): Group[] {
  const groups = GROUPS.map(([name, days]) => ({ name, since: daysBefore(now, days), chats: [] as ChatSummary[] }));
  for (const chat of [...chats].sort((a, b) => b.updated_at - a.updated_at)) {
    groups.find(({ since }) => chat.updated_at >= since)?.chats.push(chat);
  }
  return groups.filter(({ chats: found }) => found.length > 0).map(({ name, chats: found }) => ({ name, chats: found }));
}

/** The midnight that many days before. Not times 24 hours: a day has 23 or 25 where the clock is put forward or back. */
function daysBefore(now: number, days: number): number {
  if (days === Infinity) return -Infinity;
  const day = new Date(now);
  day.setHours(0, 0, 0, 0);
  return day.setDate(day.getDate() - days);
}
