/** The reader's folders: a tree, and which of them are open. */

import * as api from '../api';
import type { Folder } from '../api/types';

const KEY = 'pagoda.folders.open';

/** A folder in its place: depth 0 lies in no other. */
export interface PlacedFolder {
  folder: Folder;
  depth: number;
}

/** Folders that lie right in `parent`, in the reader's order of names. */
export function childrenOf(folders: readonly Folder[], parent: string | null, language: string): Folder[] {
  const names = new Intl.Collator(language, { numeric: true });
  return folders.filter((folder) => folder.parent_id === parent).sort((a, b) => names.compare(a.name, b.name));
}

/** The whole tree, each folder before those inside it; without `except` and what is inside that. */
export function treeOf(folders: readonly Folder[], language: string, except: string | null = null): PlacedFolder[] {
  const below = (parent: string | null, depth: number): PlacedFolder[] =>
    childrenOf(folders, parent, language)
      .filter((folder) => folder.id !== except)
      .flatMap((folder) => [{ folder, depth }, ...below(folder.id, depth + 1)]);
  return below(null, 0);
}

export class Folders {
  all: Folder[] = $state.raw([]);
  private opened: ReadonlySet<string> = $state.raw(new Set());
  /** A folder without a name yet, and the one it will lie in. */
  draft: { parent: string | null } | null = $state.raw(null);

  /** storage: null where the browser keeps nothing. */
  constructor(private readonly storage: Storage | null) {
    this.opened = new Set(readIds(storage?.getItem(KEY) ?? null));
  }

  async load(): Promise<void> {
    this.all = await api.listFolders();
  }

  find(id: string | null | undefined): Folder | null {
    return this.all.find((folder) => folder.id === id) ?? null;
  }

  isOpen(id: string): boolean {
    return this.opened.has(id);
  }

  setOpen(id: string, open: boolean): void {
    const ids = new Set(this.opened);
    if (open) ids.add(id);
    else ids.delete(id);
    this.opened = ids;
    try {
      this.storage?.setItem(KEY, JSON.stringify([...ids]));
    } catch (error) {
      console.info('Pagoda: which folders are open is not kept.', error); // a full storage: the page works on
    }
  }

  /** Begins a new folder, whose name the reader gives next. */
  begin(parent: string | null): void {
    if (parent !== null) this.setOpen(parent, true);
    this.draft = { parent };
  }

  async create(name: string, parent: string | null): Promise<string> {
    const { id } = await api.createFolder({ name, parent_id: parent });
    await this.load();
    return id;
  }

  async change(id: string, changes: { name?: string; parent_id?: string | null }): Promise<void> {
    await api.changeFolder(id, changes);
    if (changes.parent_id) this.setOpen(changes.parent_id, true);
    await this.load();
  }

  async delete(id: string): Promise<void> {
    await api.deleteFolder(id);
    await this.load();
  }
}

function readIds(text: string | null): string[] {
  try {
    const ids: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(ids) ? ids.filter((id) => typeof id === 'string') : [];
  } catch {
    return []; // written by something else
  }
}
