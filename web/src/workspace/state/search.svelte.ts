/** A search that follows what is typed: it waits for a pause, and only the answer to the newest words counts. */

import type { Hit } from '../api/types';

const PAUSE_MS = 150;

export type SearchState = 'idle' | 'searching' | 'found' | 'failed';

export class Search {
  state: SearchState = $state('idle');
  hits: Hit[] = $state.raw([]);
  /** The words that `hits` answers. */
  answered: string = $state('');
  error: unknown = $state.raw(null);
  private timer: ReturnType<typeof setTimeout> | undefined;
  private control: AbortController | null = null;

  /** ask: as the API's `search`. */
  constructor(private readonly ask: (words: string, signal: AbortSignal) => Promise<Hit[]>) {}

  /** Looks for these words soon. What was found before stays until the answer is there. */
  seek(words: string, pause = PAUSE_MS): void {
    this.end();
    const wanted = words.trim();
    if (wanted === '') {
      this.state = 'idle';
      this.hits = [];
      this.answered = '';
      return;
    }
    this.state = 'searching';
    this.timer = setTimeout(() => void this.run(wanted), pause);
  }

  /** Waits for nothing any more. */
  end(): void {
    clearTimeout(this.timer);
    this.control?.abort();
    this.control = null;
  }

  private async run(words: string): Promise<void> {
    const control = new AbortController();
    this.control = control;
    try {
      const hits = await this.ask(words, control.signal);
      if (control.signal.aborted) return;
      this.hits = hits;
      this.answered = words;
      this.state = 'found';
    } catch (error) {
      if (control.signal.aborted) return;
      this.error = error;
      this.hits = [];
      this.state = 'failed';
    }
  }
}
