/** What can be done with a chat, wherever it is shown. */

import { tick } from 'svelte';
import type { ChatChanges, ChatSummary } from '../../api/types';
import type { Workspace } from '../../state/workspace';
import type { MenuItem } from '../Menu.svelte';

/** Changes a chat in the list, in the page and in other tabs. The keyboard's place stays with it where it moves. */
export function changeChat(workspace: Workspace, id: string, changes: ChatChanges): void {
  const { attempt, chats, talk } = workspace;
  attempt(async () => {
    const changed = await chats.change(id, changes);
    if (talk.chat?.id === id) talk.chat = changed;
    await keepFocus(id);
  });
}

/** onopen: goes to a chat, or with null to a new one. */
export function chatActions(workspace: Workspace, chat: ChatSummary, onopen: (id: string | null) => void): MenuItem[] {
  const { preferences, session, view, chats, navigation } = workspace;
  const { t } = preferences;
  const { id } = chat;
  const remove = (): void => {
    view.confirmation = {
      title: t('chats.delete.title'),
      text: t('chats.delete.text', { title: chat.title || t('chats.untitled') }),
      does: 'chats.delete',
      act: async () => {
        await chats.delete(id);
            if (navigation.route.id === id) onopen(null);
        else await keepFocus(id);
      },
    };
  };
  return [
    { label: t(chat.pinned ? 'chats.unpin' : 'chats.pin'), icon: 'pin', act: () => changeChat(workspace, id, { pinned: !chat.pinned }) },
    { label: t('history.move'), icon: 'folder', act: () => view.open('move', { chat }) },
    { label: t('history.tags'), icon: 'tag', act: () => view.open('tags', { chat }) },
    ...(session.may('chat.share') ? [{ label: t('history.share'), icon: 'link', act: () => view.open('share', { chat }) } as const] : []),
    { label: t('history.export'), icon: 'download', act: () => view.open('export', { chat }) },
    {
      label: t(chat.archived ? 'chats.unarchive' : 'chats.archive'),
      icon: 'archive',
      act: () => changeChat(workspace, id, { archived: !chat.archived }),
    },
    { label: t('chats.delete'), icon: 'trash', danger: true, act: remove },
  ];
}

/** A list item that moved or went took the focus with it: to where it is now, or to the list. */
async function keepFocus(id: string): Promise<void> {
  await tick();
  if (document.activeElement !== null && document.activeElement !== document.body) return;
  const sidebar = document.getElementById('sidebar');
  const link = sidebar?.querySelector<HTMLElement>(`[data-chat="${id}"] a`) ?? sidebar?.querySelector<HTMLElement>('.history a');
  (link ?? sidebar?.querySelector<HTMLElement>('button'))?.focus();
}
