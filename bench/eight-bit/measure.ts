// One measurement in a process of its own: JSON request in argv, JSON result on stdout.
import type { Request } from './request.ts';

import { endWithParent } from '../scratch.ts';
import { measureRequest } from './measure-request.ts';

endWithParent();
const request = JSON.parse(process.argv[2] ?? '{}') as Request;
console.log(JSON.stringify(await measureRequest(request)));
