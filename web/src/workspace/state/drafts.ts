/** What was begun and not sent, for each chat, in this browser. */

const PREFIX = 'pagoda.draft.';

export class Drafts {
  /** owner: whose drafts; storage: null where the browser keeps nothing. */
  constructor(
    private readonly storage: Storage | null,
    private readonly owner: string,
  ) {}

  read(chat: string | null): string {
    return this.storage?.getItem(this.key(chat)) ?? '';
  }

  write(chat: string | null, text: string): void {
    try {
      if (text === '') this.storage?.removeItem(this.key(chat));
      else this.storage?.setItem(this.key(chat), text);
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
