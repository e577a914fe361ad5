/** Short news at the edge of the page, said to a screen reader too. */

import type { NoticeLevel } from '../api/types';

export interface Notice {
  readonly id: number;
  readonly level: NoticeLevel;
  readonly text: string;
  /** How often it came while it was shown. */
  readonly times: number;
}

/** Good news goes by itself; what may need doing stays until the reader has put it away. */
const FOR_MS: Record<NoticeLevel, number | null> = { info: 8_000, success: 6_000, warning: null, error: null };
const MOST = 5;

export class Notices {
  shown: Notice[] = $state.raw([]);
  private made = 0;
  private readonly timers = new Map<number, ReturnType<typeof setTimeout>>();

  /** The same once more while it is shown counts up. */
  add(level: NoticeLevel, text: string): void {
    if (text.trim() === '') return;
    const same = this.shown.find((each) => each.level === level && each.text === text);
    if (same) {
      this.shown = this.shown.map((each) => (each === same ? { ...same, times: same.times + 1 } : each));
      this.time(same);
      return;
    }
    const notice = { id: ++this.made, level, text, times: 1 };
    for (const old of this.shown.slice(0, Math.max(0, this.shown.length + 1 - MOST))) this.dismiss(old.id);
    this.shown = [...this.shown, notice];
    this.time(notice);
  }

  dismiss(id: number): void {
    clearTimeout(this.timers.get(id));
    this.timers.delete(id);
    this.shown = this.shown.filter((each) => each.id !== id);
  }

  /** The reader is at them: none goes meanwhile. */
  hold(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
  }

  /** The reader has left them. */
  release(): void {
    for (const notice of this.shown) this.time(notice);
  }

  private time({ id, level }: Notice): void {
    clearTimeout(this.timers.get(id));
    const ms = FOR_MS[level];
    if (ms !== null) this.timers.set(id, setTimeout(() => this.dismiss(id), ms));
  }
}
