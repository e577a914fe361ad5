/** Who is here, and the house's own settings. */

import type { Preferences } from '../../lib/state/preferences.svelte';
import { LANGUAGES, type MessageKey } from '../../lib/i18n';
import * as api from '../api';
import { ApiError } from '../api/request';
import type { Config, Me } from '../api/types';

export type SessionState = 'loading' | 'unreachable' | 'setup' | 'visitor' | 'pending' | 'expired' | 'user';

export class Session {
  config: Config | null = $state.raw(null);
  user: Me | null = $state.raw(null);
  /** What the entry says to whom it greets. */
  notice: MessageKey | null = $state(null);
  /** The server could not be asked. */
  private failed = $state(false);

  readonly state: SessionState = $derived.by(() => {
    if (!this.config) return this.failed ? 'unreachable' : 'loading';
    if (this.user) {
      if (this.user.role === 'pending') return 'pending';
      return this.user.password_expired ? 'expired' : 'user';
    }
    return this.config.setup_required ? 'setup' : 'visitor';
  });

  constructor(private readonly preferences: Preferences) {}

  /** Asks the server anew. A server that does not answer is a state, no error. */
  async load(): Promise<void> {
    try {
      const config = await api.getConfig();
      this.config = config;
      this.preferences.houseLanguage = config.locale === 'zh' ? 'zh-CN' : config.locale === 'en' ? 'en' : null;
      this.failed = false;
      if (config.user) this.enter(config.user);
      else this.user = null;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.failed = true;
    }
  }

  /** Somebody has signed in: the page looks as they chose it. */
  enter(user: Me): void {
    const { language, theme } = user.settings;
    const chosen = LANGUAGES.find((each) => each === language);
    if (chosen || language === 'auto') this.preferences.language = chosen ?? 'auto';
    if (theme === 'auto' || theme === 'light' || theme === 'dark') this.preferences.theme = theme;
    this.user = user;
    this.notice = null;
    if (this.config) this.config = { ...this.config, setup_required: false };
  }

  async signOut(): Promise<void> {
    await api.signOut();
    this.user = null;
  }

  /** The server says that the session has ended. */
  ended(): void {
    this.user = null;
  }

  may(permission: string): boolean {
    return this.user?.permissions[permission] ?? false;
  }
}
