/**
 * From the JSON schema that pydantic writes of a Valves class to the fields of a form, and back to values.
 *
 * `input` in a property (json_schema_extra) says more than JSON Schema can: {"type": "password" | "select" |
 * "multiselect", "options": [...]}; options are strings or {"value", "label"}.
 */

export interface Option {
  value: string;
  label: string;
}

export type FieldKind = 'text' | 'textarea' | 'password' | 'integer' | 'number' | 'switch' | 'select' | 'multiselect' | 'list' | 'json';

export interface FormField {
  name: string;
  title: string;
  description: string;
  kind: FieldKind;
  options: Option[];
  required: boolean;
  /** What holds while nothing is given; undefined where the schema names none. */
  fallback: unknown;
  minimum?: number;
  maximum?: number;
}

/** What stands in a form's field: text of an input, a switch's state, or the chosen of several. */
export type FieldState = string | boolean | string[];

type Schema = Record<string, unknown>;

const isObject = (value: unknown): value is Schema => typeof value === 'object' && value !== null && !Array.isArray(value);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Follows `$ref` into `$defs`, and `anyOf` with null (Optional) to what is not null. */
function resolve(property: Schema, defs: Schema): Schema {
  let found = property;
  for (let step = 0; step < 8; step++) {
    const ref = text(found['$ref']);
    const choices = [found['anyOf'], found['oneOf'], found['allOf']].find(Array.isArray) as unknown[] | undefined;
    const inner = choices?.filter((choice) => isObject(choice) && choice['type'] !== 'null') ?? [];
    let target: unknown;
    if (ref !== '') target = defs[ref.slice(ref.lastIndexOf('/') + 1)];
    else if (inner.length === 1) target = inner[0];
    if (!isObject(target)) return found;
    const { $ref: _ref, anyOf: _any, oneOf: _one, allOf: _all, ...own } = found;
    found = { ...target, ...own };
  }
  return found;
}

function optionsOf(values: unknown): Option[] {
  if (!Array.isArray(values)) return [];
  return values.flatMap((value): Option[] => {
    if (isObject(value) && 'value' in value) {
      return [{ value: String(value['value']), label: text(value['label']) || String(value['value']) }];
    }
    return value === null || typeof value === 'object' ? [] : [{ value: String(value), label: String(value) }];
  });
}

function kindOf(property: Schema, options: Option[]): FieldKind {
  const input = isObject(property['input']) ? text(property['input']['type']) : '';
  const { type } = property;
  if (input === 'password') return 'password';
  if (input === 'multiselect' && options.length > 0) return 'multiselect';
  if (input === 'textarea') return 'textarea';
  if (type === 'boolean') return 'switch';
  if (type === 'array') return scalarItems(property) ? 'list' : 'json';
  if (options.length > 0) return 'select';
  if (type === 'integer' || type === 'number') return type;
  if (type === 'string') return 'text';
  return 'json';
}

function scalarItems(property: Schema): boolean {
  const items = property['items'];
  return !isObject(items) || items['type'] === undefined || ['string', 'integer', 'number'].includes(text(items['type']));
}

/** The fields of an object's schema, in its order. What is no schema of an object has none. */
export function fieldsOf(schema: unknown): FormField[] {
  if (!isObject(schema) || !isObject(schema['properties'])) return [];
  const defs = isObject(schema['$defs']) ? schema['$defs'] : isObject(schema['definitions']) ? schema['definitions'] : {};
  const required = new Set(Array.isArray(schema['required']) ? schema['required'] : []);
  return Object.entries(schema['properties']).flatMap(([name, raw]): FormField[] => {
    if (!isObject(raw)) return [];
    const property = resolve(raw, defs);
    const input = isObject(property['input']) ? property['input'] : {};
    const given = optionsOf(input['options']);
    const options = given.length > 0 ? given : optionsOf(property['enum'] ?? ('const' in property ? [property['const']] : []));
    const field: FormField = {
      name,
      title: text(property['title']) || name,
      description: text(property['description']),
      kind: kindOf(property, options),
      options,
      required: required.has(name),
      fallback: property['default'],
    };
    const minimum = property['minimum'] ?? property['exclusiveMinimum'];
    const maximum = property['maximum'] ?? property['exclusiveMaximum'];
    if (typeof minimum === 'number') field.minimum = minimum;
    if (typeof maximum === 'number') field.maximum = maximum;
    return [field];
  });
}

/** What a field shows of a value. An absent value shows as empty, so that the default goes on to hold. */
export function toState(field: FormField, value: unknown): FieldState {
  switch (field.kind) {
    case 'switch':
      return typeof value === 'boolean' ? value : field.fallback === true;
    case 'multiselect': {
      const chosen = value ?? field.fallback;
      return Array.isArray(chosen) ? chosen.map(String) : typeof chosen === 'string' && chosen !== '' ? chosen.split(',').map((part) => part.trim()) : [];
    }
    case 'list':
      return Array.isArray(value) ? value.map(String).join(', ') : '';
    case 'json':
      return value === undefined || value === null ? '' : JSON.stringify(value, null, 2);
    default:
      return value === undefined || value === null ? '' : String(value);
  }
}

export class FieldError extends Error {
  constructor(readonly field: FormField, readonly reason: 'number' | 'integer' | 'json' | 'required') {
    super(`${field.name}: ${reason}`);
  }
}

/** The value that a field stands for; undefined leaves the default. Throws FieldError. */
export function toValue(field: FormField, state: FieldState, schema?: unknown): unknown {
  if (field.kind === 'switch') return state === true;
  if (field.kind === 'multiselect') return Array.isArray(state) ? state : [];
  const written = typeof state === 'string' ? state : '';
  if (written.trim() === '') {
    if (field.required && field.kind !== 'list') throw new FieldError(field, 'required');
    return undefined;
  }
  switch (field.kind) {
    case 'integer':
    case 'number':
      return numberOf(field, written);
    case 'list':
      return listOf(field, written, schema);
    case 'json':
      try {
        return JSON.parse(written) as unknown;
      } catch {
        throw new FieldError(field, 'json');
      }
    case 'select':
      return selectedValue(field, written, schema);
    default:
      return written;
  }
}

function numberOf(field: FormField, written: string): number {
  const value = Number(written);
  if (!Number.isFinite(value)) throw new FieldError(field, 'number');
  if (field.kind === 'integer' && !Number.isInteger(value)) throw new FieldError(field, 'integer');
  return value;
}

function propertyOf(field: FormField, schema: unknown): Schema {
  if (!isObject(schema) || !isObject(schema['properties'])) return {};
  const raw = schema['properties'][field.name];
  return isObject(raw) ? resolve(raw, isObject(schema['$defs']) ? schema['$defs'] : {}) : {};
}

function listOf(field: FormField, written: string, schema: unknown): unknown[] {
  const parts = written.split(',').map((part) => part.trim()).filter((part) => part !== '');
  const items = propertyOf(field, schema)['items'];
  const type = isObject(items) ? items['type'] : 'string';
  return type === 'integer' || type === 'number' ? parts.map((part) => numberOf({ ...field, kind: type }, part)) : parts;
}

/** Options are shown as text; the schema knows those that are numbers. */
function selectedValue(field: FormField, written: string, schema: unknown): unknown {
  const property = propertyOf(field, schema);
  const known = Array.isArray(property['enum']) ? property['enum'].find((value) => String(value) === written) : undefined;
  if (known !== undefined) return known as unknown;
  return property['type'] === 'integer' || property['type'] === 'number' ? Number(written) : written;
}
