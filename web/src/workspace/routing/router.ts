/**
 * Addresses of the workspace. Everything is in the query, so the path stays the one the page was loaded from: assets and
 * calls have relative addresses and work below any path of a proxy, and the server needs no rule for them.
 */

export type Route =
  /** A chat, or with null the place where one begins: in a folder, perhaps. message: one of its messages to show. */
  | { name: 'chat'; id: string | null; message?: string; folder?: string }
  /** What a link to a chat shows. */
  | { name: 'shared'; share: string; id: null }
  /** The administration: a section, and what is open in it ("" for none). */
  | { name: 'admin'; section: string; item: string; id: null };

/** The route that an address's query names. What is not understood is a new chat. */
export function parseRoute(search: string): Route {
  const query = new URLSearchParams(search);
  const admin = query.get('admin');
  if (admin !== null) return { name: 'admin', section: admin, item: query.get('item') ?? '', id: null };
  const share = identifier(query.get('shared'));
  if (share !== null) return { name: 'shared', share, id: null };
  const id = identifier(query.get('chat'));
  const message = identifier(query.get('message'));
  const folder = identifier(query.get('folder'));
  if (id !== null) return { name: 'chat', id, ...(message === null ? {} : { message }) };
  return { name: 'chat', id: null, ...(folder === null ? {} : { folder }) };
}

const identifier = (text: string | null): string | null => (text !== null && /^[\w-]{1,64}$/.test(text) ? text : null);

/** The token of a link that invites; null for any other address. */
export function invitationOf(search: string): string | null {
  return new URLSearchParams(search).get('invitation') || null;
}

/** The relative address of a route: "?chat=…", or "./" without its last part for a new chat. */
export function addressOf(route: Route, pathname: string): string {
  if (route.name === 'admin') {
    return `?${new URLSearchParams({ admin: route.section, ...(route.item ? { item: route.item } : {}) }).toString()}`;
  }
  if (route.name === 'shared') return `?${new URLSearchParams({ shared: route.share }).toString()}`;
  const { id, message, folder } = route;
  if (id === null) return folder === undefined ? pathname : `?${new URLSearchParams({ folder }).toString()}`;
  return `?${new URLSearchParams({ chat: id, ...(message === undefined ? {} : { message }) }).toString()}`;
}
