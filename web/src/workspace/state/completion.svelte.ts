/** How the message might go on, as a model sees it. Asked for when the writer pauses at the end of a word. */

import { completeDraft } from '../api/asking';
import { ApiError } from '../api/request';

const PAUSE_MS = 600;
const SHORTEST = 8; //: characters from which on there is something to go by
const LONGEST = 4000;

export class Completion {
  /** What would be added, with the space before it; "" for nothing. */
  words: string = $state('');
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asked: AbortController | null = null;

  constructor(private readonly ask: typeof completeDraft = completeDraft) {}

  /** The draft has changed, its cursor at its end. chat: null for a new or a temporary one. */
  consider(text: string, model: string, chat: string | null): void {
    this.forget();
    if (text.length > LONGEST || text.trim().length < SHORTEST) return;
    this.timer = setTimeout(() => void this.find(text, model, chat), PAUSE_MS);
  }

  /** What was suggested, or is being asked for, is of no use any more. */
  forget(): void {
    clearTimeout(this.timer);
    this.asked?.abort();
    this.asked = null;
    this.words = '';
  }

  private async find(text: string, model: string, chat: string | null): Promise<void> {
    const control = new AbortController();
    this.asked = control;
    try {
      const found = await this.ask(text, model, chat, control.signal);
      if (!control.signal.aborted) this.words = joined(text, found);
    } catch (error) {
      if (control.signal.aborted) return;
      // Nobody asked for it, so nobody is told; the next pause tries again.
      if (!(error instanceof ApiError)) throw error;
      console.info('Pagoda: no completion.', error.status);
    }
  }
}

const CJK = /[\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef]/;

/** The words as they go on after the text: without a repetition of it, and with a space where one belongs. */
export function joined(text: string, words: string): string {
  const begun = text.trimEnd();
  const rest = (words.startsWith(begun) ? words.slice(begun.length) : words).trim();
  if (rest === '') return '';
  const last = text.at(-1) ?? '';
  const tight = /\s/.test(last) || CJK.test(last) || CJK.test(rest.charAt(0)) || /^[.,;:!?)\]}'’”]/.test(rest);
  return tight ? rest : ` ${rest}`;
}
