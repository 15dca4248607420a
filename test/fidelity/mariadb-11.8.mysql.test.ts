import { testFidelity } from './run-fidelity.ts';

testFidelity('mariadb-11.8');
