/** The administration's part of the API, one function a route. All throw ApiError. */

import { call, open } from '../api/request';
import type {
  AdminFunction, AdminModel, AuditPage, Connection, ConnectionTest, ConnectionValues, Group, GroupList, GroupValues, HubOverview, Invitation,
  ModelSettings, NewUser, Preset, PresetValues, Pull, Role, Setting, SettingValue, StagedBackup, Usage, User, UserChanges, UserPage,
} from './types';
import type { Valves } from '../api/functions';

const id = encodeURIComponent;
const query = (values: Record<string, string | number | null | undefined>): string => {
  const given = Object.entries(values).flatMap(([name, value]) =>
    value === undefined || value === null || value === '' ? [] : [[name, String(value)]],
  );
  return given.length > 0 ? `?${new URLSearchParams(given).toString()}` : '';
};

export const listUsers = (where: { search?: string; role?: string; group?: string; cursor?: string | null; limit?: number }) =>
  call<UserPage>('GET', `api/admin/users${query(where)}`);
export const createUser = (values: NewUser) => call<User & { password: string | null }>('POST', 'api/admin/users', values);
export const changeUser = (user: string, changes: UserChanges) => call<unknown>('PATCH', `api/admin/users/${id(user)}`, changes);
export const resetPassword = (user: string) => call<{ password: string }>('POST', `api/admin/users/${id(user)}/password`, {});
export const deleteUser = (user: string) => call<unknown>('DELETE', `api/admin/users/${id(user)}`);

export const listInvitations = async () => (await call<{ invitations: Invitation[] }>('GET', 'api/admin/invitations')).invitations;
export const createInvitation = (values: { email: string | null; role: Role; hours: number }) =>
  call<Invitation & { token: string }>('POST', 'api/admin/invitations', values);
export const deleteInvitation = (invitation: string) => call<unknown>('DELETE', `api/admin/invitations/${id(invitation)}`);

export const listGroups = () => call<GroupList>('GET', 'api/admin/groups');
export const createGroup = (values: GroupValues) => call<Group>('POST', 'api/admin/groups', values);
export const changeGroup = (group: string, values: Partial<GroupValues>) => call<unknown>('PATCH', `api/admin/groups/${id(group)}`, values);
export const deleteGroup = (group: string) => call<unknown>('DELETE', `api/admin/groups/${id(group)}`);
export const addMember = (group: string, user: string) => call<unknown>('PUT', `api/admin/groups/${id(group)}/members/${id(user)}`);
export const removeMember = (group: string, user: string) => call<unknown>('DELETE', `api/admin/groups/${id(group)}/members/${id(user)}`);

export const getSettings = () => call<Record<string, Setting>>('GET', 'api/admin/settings');
/** null goes back to the default. */
export const changeSettings = (values: Record<string, SettingValue>) => call<unknown>('PATCH', 'api/admin/settings', values);

export const listAudit = (where: { action?: string; cursor?: string | null }) => call<AuditPage>('GET', `api/admin/audit${query(where)}`);

/** Connections of the house, or the reader's own. */
export function connectionsAt(base: 'api/admin/connections' | 'api/connections') {
  const at = (connection: string): string => `${base}/${id(connection)}`;
  return {
    list: async () => (await call<{ connections: Connection[] }>('GET', base)).connections,
    create: (values: ConnectionValues) => call<Connection>('POST', base, values),
    change: (connection: string, values: ConnectionValues) => call<Connection>('PATCH', at(connection), values),
    remove: (connection: string) => call<unknown>('DELETE', at(connection)),
    test: (connection: string) => call<ConnectionTest>('POST', `${at(connection)}/test`),
  };
}

export const listPresets = async () => (await call<{ presets: Preset[] }>('GET', 'api/presets')).presets;
export const createPreset = (values: PresetValues) => call<Preset>('POST', 'api/presets', values);
export const changePreset = (preset: string, values: Partial<PresetValues>) => call<Preset>('PATCH', `api/presets/${id(preset)}`, values);
export const deletePreset = (preset: string) => call<unknown>('DELETE', `api/presets/${id(preset)}`);

/** Ids of models may hold slashes, which stay in the path. */
const path = (model: string): string => model.split('/').map(id).join('/');
export const listAdminModels = async () => (await call<{ models: AdminModel[] }>('GET', 'api/admin/models')).models;
export const changeModel = (model: string, values: Partial<ModelSettings>) => call<unknown>('PATCH', `api/admin/models/${path(model)}`, values);
export const resetModel = (model: string) => call<unknown>('DELETE', `api/admin/models/${path(model)}`);
export const orderModels = (ids: string[]) => call<unknown>('PUT', 'api/admin/models/order', { ids });

export const listFunctions = () => call<{ functions: AdminFunction[]; safe_mode: boolean }>('GET', 'api/admin/functions');
/** All with their texts, as Open WebUI exports and imports them; settings are not among it, for they hold secrets. */
export async function exportFunctions(): Promise<Blob> {
  const { functions } = await call<{ functions: AdminFunction[] }>('GET', 'api/admin/functions?content=true');
  const entries = functions.map(({ id: name, name: title, type, content, manifest, active, is_global }) => ({
    id: name, name: title, type, content, meta: { description: manifest['description'] ?? '', manifest }, is_active: active, is_global,
  }));
  return new Blob([JSON.stringify(entries, null, 2)], { type: 'application/json' });
}
/** Takes such an export. left: what did not come in, and why. */
export const importFunctions = (functions: unknown[]) =>
  call<{ functions: AdminFunction[]; left: { name: string; error: string }[] }>('POST', 'api/admin/functions/import', { functions });
export const getFunction = (name: string) => call<AdminFunction>('GET', `api/admin/functions/${id(name)}`);
/** name: null for one made of the function's own title. */
export const createFunction = (content: string, name: string | null) =>
  call<AdminFunction>('POST', 'api/admin/functions', { content, id: name });
export const changeFunction = (name: string, values: { content?: string; name?: string; active?: boolean; is_global?: boolean }) =>
  call<AdminFunction>('PATCH', `api/admin/functions/${id(name)}`, values);
export const deleteFunction = (name: string) => call<unknown>('DELETE', `api/admin/functions/${id(name)}`);
export const getValves = (name: string) => call<Valves>('GET', `api/admin/functions/${id(name)}/valves`);
/** What is left out keeps its default; null leaves a secret as it is. */
export const saveValves = (name: string, values: Record<string, unknown>) =>
  call<Valves>('PUT', `api/admin/functions/${id(name)}/valves`, { values });
export const installRequirements = (name: string) => call<{ output: string }>('POST', `api/admin/functions/${id(name)}/requirements`);

export const getUsage = (where: { by: 'user' | 'model' | 'day'; since: number; minutes_east?: number }) =>
  call<Usage>('GET', `api/admin/usage${query(where)}`);

/** Uploads a backup and has it checked; nothing is restored yet. */
export const uploadBackup = async (file: Blob): Promise<StagedBackup> =>
  (await (await open('POST', 'api/admin/restore', { body: file, headers: { 'content-type': 'application/zip' } })).json()) as StagedBackup;
/** Puts an uploaded backup in the place of everything; everybody is signed out. */
export const restoreBackup = (backup: string, password: string) => call<unknown>('POST', `api/admin/restore/${id(backup)}`, { password });
export const discardBackup = (backup: string) => call<unknown>('DELETE', `api/admin/restore/${id(backup)}`);

/** An archive of everything, and the name the server gives it. */
export async function makeBackup(): Promise<{ name: string; data: Blob }> {
  const response = await open('POST', 'api/admin/backup');
  const name = /filename="([^"]+)"/.exec(response.headers.get('content-disposition') ?? '')?.[1] ?? 'pagoda-backup.zip';
  return { name, data: await response.blob() };
}

export const getHub = () => call<HubOverview>('GET', 'api/admin/hub');
export const listPulls = async () => (await call<{ pulls: Pull[] }>('GET', 'api/admin/hub/pulls')).pulls;
export const pullModel = (model: string, revision: string | null) => call<Pull>('POST', 'api/admin/hub/pulls', { model, revision });
export const cancelPull = (pull: string) => call<Pull>('DELETE', `api/admin/hub/pulls/${id(pull)}`);
/** makeRoom: others may be unloaded for it. */
export const loadModel = (model: string, makeRoom: boolean) => call<{ id: string }>('POST', 'api/admin/hub/load', { model, make_room: makeRoom });
export const unloadModel = (model: string) => call<unknown>('POST', 'api/admin/hub/unload', { model });
export const withdrawModel = (model: string) => call<unknown>('POST', 'api/admin/hub/withdraw', { model });
export const removeModel = (model: string, unload: boolean) => call<unknown>('DELETE', `api/admin/hub/${path(model)}?unload=${unload}`);
