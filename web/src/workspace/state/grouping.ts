/** The list of chats, in the groups that a reader looks for them in. */

import type { Chat } from '../api/types';

export type GroupName = 'pinned' | 'today' | 'yesterday' | 'earlier' | 'archived';
export interface Group {
  name: GroupName;
  chats: Chat[];
}

const ORDER: readonly GroupName[] = ['pinned', 'today', 'yesterday', 'earlier', 'archived'];

/** Groups that hold something, the newest chat first in each. `now`: milliseconds; days are the reader's own. */
export function grouped(chats: readonly Chat[], now: number): Group[] {
  const midnight = new Date(now);
  const today = midnight.setHours(0, 0, 0, 0);
  // Not 24 hours: a day has 23 or 25 where the clock is put forward or back.
  const yesterday = midnight.setDate(midnight.getDate() - 1);
  const groups = new Map<GroupName, Chat[]>(ORDER.map((name) => [name, []]));
  for (const chat of [...chats].sort((a, b) => b.updated_at - a.updated_at)) {
    const name = chat.archived
      ? 'archived'
      : chat.pinned
        ? 'pinned'
        : chat.updated_at >= today
          ? 'today'
          : chat.updated_at >= yesterday
            ? 'yesterday'
            : 'earlier';
    groups.get(name)?.push(chat);
  }
  return ORDER.flatMap((name) => {
    const found = groups.get(name) ?? [];
    return found.length > 0 ? [{ name, chats: found }] : [];
  });
}
