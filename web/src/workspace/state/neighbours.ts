/** Tabs of one browser tell each other which chat has changed. */

export class Neighbours {
  private readonly channel = 'BroadcastChannel' in window ? new BroadcastChannel('pagoda.chats') : null;

  tell(chat: string): void {
    this.channel?.postMessage(chat);
  }

  /** Calls back with the chat that another tab changed. Gives a way to end it. */
  listen(heard: (chat: string) => void): () => void {
    const { channel } = this;
    const take = (event: MessageEvent): void => {
      if (typeof event.data === 'string') heard(event.data);
    };
    channel?.addEventListener('message', take);
    return () => channel?.removeEventListener('message', take);
  }
}
