import { testFidelity } from './run-fidelity.ts';

testFidelity('mariadb-10.11');
