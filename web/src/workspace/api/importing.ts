/** A file of chats on its way in: uploaded, then taken in by the server on its own. All throw ApiError. */

import { call, errorOf, ApiError } from './request';

export interface ImportJob {
  id: string;
  state: 'reading' | 'saving' | 'done' | 'failed';
  /** As it was recognised. */
  format: string | null;
  /** Chats so far, and in all once the file has been read. */
  done: number;
  total: number | null;
  chats: number;
  prompts: number;
  files: number;
  error: string | null;
  /** Names the sentence of the error, with what stands in it. */
  code: string | null;
  values: Record<string, string | number>;
}

/** Uploads a file. onprogress: the part of it that has arrived, from 0 to 1. */
export function startImport(file: File, onprogress: (part: number) => void, signal: AbortSignal): Promise<ImportJob> {
  // fetch does not tell how far an upload is.
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', 'api/import');
    request.upload.addEventListener('progress', ({ loaded, total }) => onprogress(total > 0 ? loaded / total : 0));
    request.addEventListener('load', () => {
      if (request.status < 200 || request.status > 299) reject(errorOf(request.status, request.responseText));
      else resolve(JSON.parse(request.responseText) as ImportJob);
    });
    request.addEventListener('error', () => reject(new ApiError(0, '')));
    request.addEventListener('abort', () => reject(new DOMException('The upload was given up.', 'AbortError')));
    signal.addEventListener('abort', () => request.abort());
    const form = new FormData();
    form.append('file', file);
    request.send(form);
  });
}

export const getImport = (id: string) => call<ImportJob>('GET', `api/imports/${encodeURIComponent(id)}`);
/** What is being taken in, or has just been. */
export const listImports = async () => (await call<{ imports: ImportJob[] }>('GET', 'api/imports')).imports;
