/** What functions put into answers, checked: they may say anything. */

import type { FilePart, StatusPart } from '../api/types';

/** An address that may stand behind a link; null for anything but http and https. */
export function linkOf(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  try {
    const { protocol, href } = new URL(value);
    return protocol === 'http:' || protocol === 'https:' ? href : null;
  } catch {
    return null;
  }
}

/** A status in words; `{{count}}` and `{{searchQuery}}` stand for what came with it. */
export function wordsOf({ description, count, urls, query }: StatusPart): string {
  const number = count ?? (Array.isArray(urls) ? urls.length : '');
  const values: Record<string, string> = { count: String(number), searchQuery: String(query ?? '') };
  return description.replace(/\{\{(count|searchQuery)\}\}/g, (whole, name: string) => values[name] ?? whole);
}

export interface FileAddress {
  address: string;
  /** It comes with the answer, or from this server. */
  own: boolean;
  picture: boolean;
}

/** Where a file is; null where it is nowhere that a page should lead to. */
export function addressOf({ file_id: id, url, media_type: type }: FilePart): FileAddress | null {
  const isPicture = type === 'image' || (type ?? '').startsWith('image/');
  if (id) return { address: `api/files/${encodeURIComponent(id)}/content`, own: true, picture: isPicture };
  if (/^data:image\/(png|jpeg|gif|webp|avif|svg\+xml)[;,]/i.test(url ?? '')) return { address: url ?? '', own: true, picture: true };
  // Any other data: is saved, never opened: as a page it would speak in this house's name.
  if ((url ?? '').startsWith('data:')) return { address: url ?? '', own: true, picture: false };
  const link = linkOf(url);
  return link === null ? null : { address: link, own: false, picture: false };
}
