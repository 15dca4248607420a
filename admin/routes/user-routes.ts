import { usersScriptSchema } from '../../engine/api.ts';
import { usersApplyReportSchema, usersScriptAnswerSchema, usersViewSchema } from '../answer-schemas.ts';
import { jsonRoute, type Route, type RouteInput } from '../route.ts';

const path = '/api/v1/imports/{id}/users';
const tag = 'imports';
const idOf = ({ params }: Pick<RouteInput, 'params'>) => params['id'] ?? '';

/** Accounts with privileges on the imported schema. */
export const userRoutes: Route[] = [
  jsonRoute({
    method: 'GET',
    path,
    operationId: 'listUsers',
    summary:
      'Accounts and roles of the primary with privileges on the schema, and what the other side has of them. No secrets.',
    tag,
    answer: usersViewSchema,
    handle: (input) => input.backend.engine.listUsers({ id: idOf(input) }),
  }),
  jsonRoute({
    method: 'POST',
    path: `${path}/apply`,
    operationId: 'createUsers',
    summary:
      'Create the absent ones that can come along with their password hashes. Existing ones are left as they are.',
    tag,
    answer: usersApplyReportSchema,
    handle: (input) => input.backend.engine.createUsers({ id: idOf(input), actor: input.actor }),
  }),
  jsonRoute({
    method: 'POST',
    path: `${path}/script`,
    operationId: 'usersScript',
    summary:
      'Statements for what is absent or lacking; with `hashes` the answer holds secrets, and asking for it is logged.',
    tag,
    body: usersScriptSchema,
    answer: usersScriptAnswerSchema,
    handle: (input) => input.backend.engine.usersScript({ id: idOf(input), ...input.body, actor: input.actor }),
  }),
];
