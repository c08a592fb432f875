<#
.SYNOPSIS
Makes a key on this node and a certificate request (CSR) to have signed by your own authority.

.DESCRIPTION
For a node in WSL on Windows. Not tried on Windows yet: only the syntax has been checked.

.EXAMPLE
.\generateCsr.ps1 -algo EC -keySizeOrCurve prime256v1 -csrName mcc-node1 -subjectCommonName mcc-node1.example.org -sanDns mcc-node1.example.org
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true)][ValidateSet('RSA', 'EC', 'ED25519', 'ED448')][string] $algo,
    [Alias('keySize')][ValidateSet('2048', '3072', '4096', 'prime256v1', 'secp384r1')][string] $keySizeOrCurve,
    [Parameter(Mandatory = $true)][string] $csrName,
    [Parameter(Mandatory = $true)][string] $subjectCommonName,
    [ValidatePattern('^[A-Za-z]{2}$')][string] $subjectCountry,
    [string] $subjectState,
    [string] $subjectOrg,
    [string[]] $sanDns,
    [string[]] $sanIp,
    [string[]] $sanUri,
    [string[]] $sanEmail,
    [string[]] $sanRid,
    [string[]] $sanDirName,
    [string[]] $sanOtherName,
    [Alias('RunTimeAccountName', 'RunTimeAccount')][string] $mccRunTimeAccount,
    [System.Management.Automation.PSCredential] $mccLocalAccountCredential
)

Import-Module (Join-Path $PSScriptRoot 'Larder.Runbooks.psm1') -Force

$arguments = @()
$names = 'algo', 'keySizeOrCurve', 'csrName', 'subjectCommonName', 'subjectCountry', 'subjectState', 'subjectOrg',
    'sanDns', 'sanIp', 'sanUri', 'sanEmail', 'sanRid', 'sanDirName', 'sanOtherName'
foreach ($name in $names) {
    if ($PSBoundParameters.ContainsKey($name)) {
        $arguments += "-$name"
        $arguments += ($PSBoundParameters[$name] -join ',')
    }
}

exit (Invoke-LarderRunbook -Name 'generateCsr.sh' -Arguments $arguments `
    -Account $mccRunTimeAccount -Credential $mccLocalAccountCredential)
