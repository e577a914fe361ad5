/** Chats and folders that are dragged to another folder. */

const CHAT = 'application/x-pagoda-chat';
const FOLDER = 'application/x-pagoda-folder';

export interface Dragged {
  kind: 'chat' | 'folder';
  id: string;
}

export function drag(event: DragEvent, { kind, id }: Dragged): void {
  if (!event.dataTransfer) return;
  event.dataTransfer.effectAllowed = 'move';
  event.dataTransfer.setData(kind === 'chat' ? CHAT : FOLDER, id);
}

/** Whether it is something of ours that is over the target; the browser tells what only once it is dropped. */
export const isDragged = (event: DragEvent): boolean =>
  event.dataTransfer?.types.some((type) => type === CHAT || type === FOLDER) ?? false;

export function dropped(event: DragEvent): Dragged | null {
  const chat = event.dataTransfer?.getData(CHAT);
  if (chat) return { kind: 'chat', id: chat };
  const folder = event.dataTransfer?.getData(FOLDER);
  return folder ? { kind: 'folder', id: folder } : null;
}
