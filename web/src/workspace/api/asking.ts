/** What goes into questions: files, prompts, and how a message might go on. All throw ApiError. */

import { ApiError, call, errorOf } from './request';
import type { AskedPart, Params, Started } from './types';

const id = encodeURIComponent;

export interface UploadedFile {
  id: string;
  name: string;
  media_type: string;
  size: number;
  /** Of its text as one model counts them; null for a picture, or where the model's tokenizer is not known. */
  tokens: number | null;
}

/** onprogress: the share that has arrived, from 0 to 1; at 1 the server still reads the file's text. */
export function uploadFile(
  file: File,
  { model, signal, onprogress }: { model: string | undefined; signal: AbortSignal; onprogress: (share: number) => void },
): Promise<UploadedFile> {
  return new Promise((resolve, reject) => {
    // fetch() tells nothing about what has been sent.
    const request = new XMLHttpRequest();
    request.open('POST', `api/files${model === undefined ? '' : `?model=${id(model)}`}`);
    request.upload.onprogress = (event) => event.lengthComputable && onprogress(event.loaded / event.total);
    request.onerror = () => reject(new ApiError(0, ''));
    request.onabort = () => reject(new DOMException('', 'AbortError'));
    request.onload = () => {
      if (request.status >= 300) reject(errorOf(request.status, request.responseText));
      else resolve(JSON.parse(request.responseText) as UploadedFile);
    };
    signal.addEventListener('abort', () => request.abort());
    const form = new FormData();
    form.append('file', file, file.name);
    request.send(form);
  });
}
export const getFile = (file: string, model: string | undefined) =>
  call<UploadedFile>('GET', `api/files/${id(file)}${model === undefined ? '' : `?model=${id(model)}`}`);
export const deleteFile = (file: string) => call<unknown>('DELETE', `api/files/${id(file)}`);
/** Where a file's bytes are; the server sends them as a download. */
export const contentOf = (file: string): string => `api/files/${id(file)}/content`;

export type Visibility = 'private' | 'everyone';
export interface PromptValues {
  command: string;
  title: string;
  content: string;
  visibility: Visibility;
}
export interface Prompt extends PromptValues {
  id: string;
  own: boolean;
  /** Whose it is, by name. */
  owner: string;
}
export const listPrompts = async () => (await call<{ prompts: Prompt[] }>('GET', 'api/prompts')).prompts;
export const createPrompt = (values: PromptValues) => call<Prompt>('POST', 'api/prompts', values);
export const changePrompt = (prompt: string, values: Partial<PromptValues>) =>
  call<Prompt>('PATCH', `api/prompts/${id(prompt)}`, values);
export const deletePrompt = (prompt: string) => call<unknown>('DELETE', `api/prompts/${id(prompt)}`);

export interface TemporaryQuestion {
  messages: { role: 'user' | 'assistant'; parts: AskedPart[] }[];
  models: string[];
  params: Params;
  filter_ids: string[];
}
export const generateTemporary = (question: TemporaryQuestion) =>
  call<Started>('POST', 'api/temporary/generate', question);

/** A few words that go on where a draft breaks off; "" for none. chat: null for a new or a temporary one. */
export const completeDraft = async (text: string, model: string, chat: string | null, signal: AbortSignal) =>
  (await call<{ text: string }>('POST', 'api/complete', { text, model, chat_id: chat }, signal)).text;
