/** Where the reader is, in step with the browser's history. */

import { addressOf, parseRoute, type Route } from './router';

export class Navigation {
  route: Route = $state.raw(parseRoute(location.search));

  constructor() {
    addEventListener('popstate', () => (this.route = parseRoute(location.search)));
  }

  /** replace: the place left is not one to come back to. */
  go(route: Route, { replace = false } = {}): void {
    const address = this.address(route);
    if (replace) history.replaceState(null, '', address);
    else if (address !== this.address(this.route)) history.pushState(null, '', address);
    this.route = route;
  }

  address(route: Route): string {
    return addressOf(route, location.pathname);
  }
}
