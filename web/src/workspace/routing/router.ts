/**
 * Addresses of the workspace. Everything is in the query, so the path stays the one the page was loaded from: assets and
 * calls have relative addresses and work below any path of a proxy, and the server needs no rule for them.
 */

export type Route =
  | { name: 'chat'; id: string | null }
  /** The administration: a section, and what is open in it ("" for none). */
  | { name: 'admin'; section: string; item: string; id: null };

/** The route that an address's query names. What is not understood is a new chat. */
export function parseRoute(search: string): Route {
  const query = new URLSearchParams(search);
  const admin = query.get('admin');
  if (admin !== null) return { name: 'admin', section: admin, item: query.get('item') ?? '', id: null };
  const id = query.get('chat');
  return { name: 'chat', id: id !== null && /^[\w-]{1,64}$/.test(id) ? id : null };
}

/** The token of a link that invites; null for any other address. */
export function invitationOf(search: string): string | null {
  return new URLSearchParams(search).get('invitation') || null;
}

/** The relative address of a route: "?chat=…", or "./" without its last part for a new chat. */
export function addressOf(route: Route, pathname: string): string {
  if (route.name === 'admin') {
    return `?${new URLSearchParams({ admin: route.section, ...(route.item ? { item: route.item } : {}) }).toString()}`;
  }
  return route.id === null ? pathname : `?${new URLSearchParams({ chat: route.id }).toString()}`;
}
