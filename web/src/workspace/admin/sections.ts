/** The pages of the administration. Each is loaded when it is opened. */

import type { Component } from 'svelte';
import type { AdminKey } from './i18n';

export interface SectionProps {
  /** What is open in the section; "" for none. */
  item: string;
  /** Opens something in the section; "" goes back to the whole. */
  show: (item: string) => void;
}

export interface Section {
  id: string;
  name: AdminKey;
  load: () => Promise<{ default: Component<SectionProps> }>;
}

export const SECTIONS: readonly Section[] = [
  { id: 'users', name: 'users', load: () => import('./pages/UsersPage.svelte') },
  { id: 'groups', name: 'groups', load: () => import('./pages/GroupsPage.svelte') },
  { id: 'settings', name: 'settings', load: () => import('./pages/SettingsPage.svelte') },
  { id: 'connections', name: 'connections', load: () => import('./pages/ConnectionsPage.svelte') },
  { id: 'models', name: 'models', load: () => import('./pages/ModelsPage.svelte') },
  { id: 'hub', name: 'hub', load: () => import('./pages/HubPage.svelte') },
  { id: 'functions', name: 'functions', load: () => import('./pages/FunctionsPage.svelte') },
  { id: 'live', name: 'live', load: () => import('./pages/LivePage.svelte') },
  { id: 'log', name: 'log', load: () => import('./pages/LogPage.svelte') },
  { id: 'usage', name: 'usage', load: () => import('./pages/UsagePage.svelte') },
  { id: 'audit', name: 'audit', load: () => import('./pages/AuditPage.svelte') },
  { id: 'backup', name: 'backup', load: () => import('./pages/BackupPage.svelte') },
];
