/** What the administration's routes send and take, as the server writes it. Times: milliseconds since the epoch. */

export type SettingValue = string | boolean | number | string[] | Record<string, boolean> | null;

export interface Setting {
  value: SettingValue;
  default: SettingValue;
  /** The environment variable that sets it. */
  locked_by: string | null;
  kind: 'text' | 'switch' | 'choice' | 'language' | 'names' | 'seconds' | 'permissions' | (string & {});
  choices: string[];
}

export interface AuditEvent {
  id: string;
  action: string;
  user_id: string | null;
  user_name: string | null;
  user_email: string | null;
  target_type: string;
  target_id: string;
  detail: Record<string, unknown>;
  address: string;
  created_at: number;
}

export interface AuditPage {
  events: AuditEvent[];
  next: string | null;
}

export type Role = 'admin' | 'user' | 'pending';

export interface User {
  id: string;
  name: string;
  email: string;
  role: Role;
  active: boolean;
  /** Ids. */
  groups: string[];
  created_at: number;
  last_active_at: number | null;
}

export interface UserPage {
  users: User[];
  total: number;
  next: string | null;
}

export interface UserChanges {
  name?: string;
  email?: string;
  role?: Role;
  active?: boolean;
}

export interface NewUser {
  name: string;
  email: string;
  role: Role;
  /** Without one the server makes one and tells it once. */
  password?: string;
}

export interface Group {
  id: string;
  name: string;
  description: string;
  permissions: Record<string, boolean>;
  /** How many. */
  members: number;
  created_at: number;
}

export type GroupValues = Pick<Group, 'name' | 'description' | 'permissions'>;

export interface Invitation {
  id: string;
  email: string | null;
  role: Role;
  created_at: number;
  expires_at: number;
  used_at: number | null;
}
