/** The message that is being written in the open chat, and the one that waits for an answer to end. */

import type { AskedPart } from '../api/types';
import { Attachments, kept, type Attachment } from './attachments.svelte';
import type { Drafts } from './drafts';

const KEEP_AFTER_MS = 300;

/** A message as it was written, to be sent or taken up again. */
export interface Written {
  text: string;
  files: Attachment[];
  parts: AskedPart[];
}

export class Writing {
  text: string = $state('');
  /** Sent as soon as the answer that is being written has ended. */
  queued: Written | null = $state.raw(null);
  readonly attachments: Attachments;
  readonly empty: boolean = $derived.by(() => this.text.trim() === '' && this.attachments.ready.length === 0);

  /** Whose draft it is; null for the new chat's, undefined before the first. */
  chat: string | null | undefined = undefined;
  /** Nothing is kept of a temporary chat. */
  private keeps = true;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly drafts: Drafts,
    onfault: (error: unknown) => void,
  ) {
    this.attachments = new Attachments({ onchange: () => this.changed(), onfault });
  }

  /** Takes up what was begun in a chat. model: counts its files. */
  open(chat: string | null, model: string | undefined): void {
    this.keep();
    this.chat = chat;
    this.keeps = true;
    this.queued = null;
    const { text, files } = this.drafts.read(chat);
    this.text = text;
    this.attachments.restore(files, model);
  }

  /** The new chat that was written in has come to be: what is written meanwhile belongs to it. */
  moveTo(chat: string): void {
    this.drafts.write(null, { text: '', files: [] });
    this.chat = chat;
    this.keep();
  }

  /** Sends it once the answer has ended, with what waits already. */
  queue({ text, files, parts }: Written): void {
    const before = this.queued;
    this.queued = before
      ? {
          text: [before.text, text].filter((each) => each.trim() !== '').join('\n\n'),
          files: [...before.files, ...files],
          parts: [...before.parts, ...parts],
        }
      : { text, files, parts };
    this.changed();
  }

  /** Puts what waits back into the field. */
  takeBack(): void {
    const { queued } = this;
    this.queued = null;
    if (queued) this.putBack(queued);
  }

  /** Gives up what is written and not sent, with its files. */
  clear(): void {
    for (const attachment of [...this.attachments.all, ...(this.queued?.files ?? [])]) this.attachments.remove(attachment);
    this.queued = null;
    this.text = '';
  }

  /** Whether drafts are kept in the browser. What was begun stays in the field. */
  setTemporary(temporary: boolean): void {
    if (temporary) this.drafts.write(this.chat ?? null, { text: '', files: [] });
    this.keeps = !temporary;
    this.keep();
  }

  /** Takes what is written out of the field. */
  take(): Written {
    const { text, attachments } = this;
    const parts: AskedPart[] = [...attachments.parts, ...(text.trim() === '' ? [] : [{ type: 'text', text } as const])];
    const files = attachments.ready;
    this.text = '';
    // A refused file has said why; it does not go along.
    attachments.all = attachments.all.filter((each) => each.file === null && each.fault === null);
    clearTimeout(this.timer); // the draft stays until the server has the message
    return { text, files, parts };
  }

  /** Puts a message back into the field of its chat, before what has been written meanwhile. */
  putBack({ text, files }: Pick<Written, 'text' | 'files'>, chat = this.chat): void {
    if (chat !== this.chat) {
      this.drafts.write(chat ?? null, { text, files: kept(files) });
      return;
    }
    this.text = [text, this.text].filter((each) => each.trim() !== '').join('\n\n');
    const { attachments } = this;
    attachments.all = [...files, ...attachments.all];
    this.changed();
  }

  /** Something was written. It is kept a moment later, so that typing in a long text stays light. */
  changed(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.keep(), KEEP_AFTER_MS);
  }

  /** Keeps the draft now. */
  keep(): void {
    clearTimeout(this.timer);
    if (!this.keeps || this.chat === undefined) return;
    const waiting = this.queued;
    const text = [waiting?.text ?? '', this.text].filter((each) => each !== '').join('\n\n');
    this.drafts.write(this.chat, { text, files: kept([...(waiting?.files ?? []), ...this.attachments.all]) });
  }
}
