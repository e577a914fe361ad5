/** What was begun and not sent, for each chat, in this browser. */

import type { UploadedFile } from '../api/asking';

const PREFIX = 'pagoda.draft.';

export type KeptFile = Pick<UploadedFile, 'id' | 'name' | 'media_type' | 'size'>;
export interface Draft {
  text: string;
  files: KeptFile[];
}

export class Drafts {
  /** owner: whose drafts; storage: null where the browser keeps nothing. */
  constructor(
    private readonly storage: Storage | null,
    private readonly owner: string,
  ) {}

  read(chat: string | null): Draft {
    try {
      const { text, files } = JSON.parse(this.storage?.getItem(this.key(chat)) ?? '{}') as Partial<Draft>;
      return { text: typeof text === 'string' ? text : '', files: Array.isArray(files) ? files : [] };
    } catch {
      return { text: '', files: [] }; // written by something else
    }
  }

  write(chat: string | null, { text, files }: Draft): void {
    try {
      if (text === '' && files.length === 0) this.storage?.removeItem(this.key(chat));
      else this.storage?.setItem(this.key(chat), JSON.stringify({ text, files }));
    } catch (error) {
      console.info('Pagoda: drafts are not kept.', error); // a full storage: the page works on
    }
  }

  /** All drafts of this owner, for who leaves a browser that others use. */
  forget(): void {
    const keys = Array.from({ length: this.storage?.length ?? 0 }, (_, at) => this.storage?.key(at));
    for (const key of keys) if (key?.startsWith(PREFIX + this.owner)) this.storage?.removeItem(key);
  }

  private key(chat: string | null): string {
    return `${PREFIX}${this.owner}.${chat ?? 'new'}`;
  }
}
